"""Proposals: created by the extraction, reviewed by people or by the auto-review; each decision leaves an audit row."""

import time
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import metrics
from app.config import settings
from app.embedding import embed
from app.models import Atom, AtomProposal, ProposalReview, Topic, TopicProposal

MODELS = {"topic": TopicProposal, "atom": AtomProposal}
PAST = {"approve": "approved", "auto_approve": "approved", "reject": "rejected", "expire": "expired"}


async def find_similar(db: AsyncSession, kind: str, title: str, content: str) -> int | None:
    """The id of an entity so like this one that it is taken for a duplicate, by name or by cosine similarity."""
    with metrics.similarity_duration.time():
        model, name = (Topic, Topic.name) if kind == "topic" else (Atom, Atom.title)
        found = await db.scalar(select(model.id).where(func.lower(name) == title.lower()).limit(1))
        detection = "exact"
        if found is None and kind == "atom":
            distance = Atom.embedding.cosine_distance(embed(f"{title} {content}"))
            nearest = (await db.execute(select(Atom.id, distance).where(Atom.embedding.is_not(None))
                                        .order_by(distance).limit(1))).first()
            if nearest and 1 - nearest[1] >= settings.KNOWLEDGE_PROPOSALS_SIMILARITY_THRESHOLD:
                found, detection = nearest[0], "semantic"
    if found is not None:
        metrics.duplicates_total.labels(detection).inc()
    return found


async def create(db: AsyncSession, kind: str, title: str, content: str, confidence: float,
                 detect_duplicates: bool) -> TopicProposal | AtomProposal:
    """Add one pending proposal to the session.

    Raises what the database raises, counted in knowledge_proposal_creation_errors_total.
    """
    started = time.perf_counter()
    try:
        similar = await find_similar(db, kind, title, content) if detect_duplicates else None
        proposal = MODELS[kind](title=title, content=content, confidence=confidence, similar_entity_id=similar)
        db.add(proposal)
        await db.flush()
    except Exception:
        metrics.creation_errors.inc()
        raise
    metrics.creation_total.labels(kind, "pending").inc()
    metrics.creation_duration.labels(kind).observe(time.perf_counter() - started)
    return proposal


async def review(db: AsyncSession, proposal: TopicProposal | AtomProposal, action: str, actor: str) -> None:
    """Decide on a proposal that the caller locked; an approved one becomes a topic or an atom."""
    kind = "topic" if isinstance(proposal, TopicProposal) else "atom"
    proposal.status, proposal.reviewed_at, proposal.reviewed_by = PAST[action], datetime.now(UTC), actor
    db.add(ProposalReview(proposal_id=proposal.id, entity_type=kind, action=action, actor=actor))
    if proposal.status == "approved" and proposal.similar_entity_id is None:
        common = {"external_id": f"proposal-{proposal.id}"}
        if kind == "topic":
            db.add(Topic(name=proposal.title, description=proposal.content, **common))
        else:
            text = f"{proposal.title} {proposal.content}"
            db.add(Atom(title=proposal.title, content=proposal.content, embedding=embed(text), **common))
    metrics.review_total.labels(action, kind).inc()
    if action == "auto_approve":
        metrics.auto_approval_total.labels("0.95-1.0" if proposal.confidence >= 0.95 else "0.9-0.95").inc()
