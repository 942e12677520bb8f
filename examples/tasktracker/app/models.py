"""The tables. Columns that a later release added are mapped in that release only."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pgvector.sqlalchemy import Vector
from sqlalchemy import DateTime, ForeignKey, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.config import settings
from app.embedding import SIZE


class Base(DeclarativeBase):
    """Every timestamp carries its zone."""

    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, list[float]: Vector(SIZE)}


class Identified:
    """A number of ours and a name of the client's, each unique."""

    id: Mapped[int] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(String(128), unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Topic(Identified, Base):
    """What people talk about."""

    __tablename__ = "topics"
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")


class Atom(Identified, Base):
    """One piece of knowledge."""

    __tablename__ = "atoms"
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"))
    kind: Mapped[str] = mapped_column(String(32), default="insight")
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text, default="")
    embedding: Mapped[list[float] | None] = mapped_column(deferred=True)


class Message(Identified, Base):
    """What was said; scored and embedded later, by the worker."""

    __tablename__ = "messages"
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"))
    author: Mapped[str] = mapped_column(String(100))
    content: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime] = mapped_column(server_default=func.now())
    importance_score: Mapped[float | None]
    embedding: Mapped[list[float] | None] = mapped_column(deferred=True)
    if settings.has_proposals:
        extracted_at: Mapped[datetime | None] = mapped_column(deferred=True)


class FeatureFlag(Base):
    """A flag set at run time; without a row the environment's default holds."""

    __tablename__ = "feature_flags"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    enabled: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class Job(Base):
    """One run of a background job (S1 resets stuck ones in this table by hand)."""

    __tablename__ = "message_ingestion_job"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))  # running, done, failed
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None]
    error_log: Mapped[dict[str, Any] | None]


class Proposal:
    """What both kinds of proposals have in common (S0's SQL names these columns)."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text, default="")
    confidence: Mapped[float]
    status: Mapped[str] = mapped_column(String(16), default="pending")  # approved, rejected, expired
    similar_entity_id: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None] = mapped_column(String(64))


class TopicProposal(Proposal, Base):
    """A topic the extraction would like to have."""

    __tablename__ = "topic_proposals"


class AtomProposal(Proposal, Base):
    """An atom the extraction would like to have."""

    __tablename__ = "atom_proposals"
    topic_id: Mapped[int | None]


class ProposalReview(Base):
    """The audit trail: every decision, by whom."""

    __tablename__ = "proposal_reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    proposal_id: Mapped[UUID]
    entity_type: Mapped[str] = mapped_column(String(8))
    action: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
