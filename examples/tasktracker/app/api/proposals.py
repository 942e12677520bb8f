"""Knowledge Proposals (1.1.0): list with filters, read, approve, reject, approve many. Off by default, then 403."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, HTTPException, Query
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import flags
from app import proposals as service
from app.api.queue import enqueue
from app.db import Db
from app.models import AtomProposal, TopicProposal
from app.proposal_tasks import extract_knowledge_from_messages
from app.tasks import broker

User = Annotated[str | None, Header(alias="X-User-Id")]


async def enabled(user: User = None) -> None:
    """403 unless the flag is on for this user."""
    if not await flags.is_on("knowledge_proposals", user):
        raise HTTPException(403, "the flag knowledge_proposals is off")


router = APIRouter(prefix="/api/v1/knowledge", dependencies=[Depends(enabled)])


class Out(BaseModel):
    """A proposal."""

    id: UUID
    entity_type: Literal["topic", "atom"]
    title: str
    content: str
    confidence: float
    status: str
    similar_entity_id: int | None
    created_at: datetime
    reviewed_at: datetime | None
    reviewed_by: str | None


class Batch(BaseModel):
    """Proposals to approve together."""

    proposal_ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]


def out(proposal: TopicProposal | AtomProposal) -> Out:
    """A row as it is shown."""
    kind = "topic" if isinstance(proposal, TopicProposal) else "atom"
    columns = {name: getattr(proposal, name) for name in Out.model_fields if name != "entity_type"}
    return Out(entity_type=kind, **columns)


async def find(db: AsyncSession, proposal_id: UUID, lock: bool = False) -> TopicProposal | AtomProposal:
    """The proposal of that id, locked for a decision when asked; 404 when there is none."""
    for model in service.MODELS.values():
        if proposal := await db.get(model, proposal_id, with_for_update=lock or None):
            return proposal
    raise HTTPException(404, f"no proposal {proposal_id}")


@router.get("/proposals")
async def listing(
    db: Db, status: Literal["pending", "approved", "rejected", "expired"] | None = None,
    entity_type: Literal["topic", "atom"] | None = None,
    confidence_min: Annotated[float, Query(ge=0, le=1)] = 0.0, limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, list[Out]]:
    """The newest proposals that pass the filters."""
    found: list[Out] = []
    for kind, model in service.MODELS.items():
        if entity_type in (None, kind):
            query = select(model).where(model.confidence >= confidence_min).order_by(model.created_at.desc())
            query = query.where(model.status == status) if status else query
            found += [out(row) for row in await db.scalars(query.limit(limit))]
    return {"items": sorted(found, key=lambda one: one.created_at, reverse=True)[:limit]}


@router.get("/proposals/{proposal_id}")
async def reading(db: Db, proposal_id: UUID) -> Out:
    """One proposal."""
    return out(await find(db, proposal_id))


async def decide(db: AsyncSession, proposal_id: UUID, action: str, user: str | None) -> Out:
    """Approve or reject a pending proposal; 409 when it was decided before."""
    proposal = await find(db, proposal_id, lock=True)
    if proposal.status != "pending":
        raise HTTPException(409, f"proposal {proposal_id} is {proposal.status} already")
    await service.review(db, proposal, action, user or "anonymous")
    await db.commit()
    shown = out(proposal)
    await broker.publish("proposals", proposal.status, shown.model_dump(mode="json"))
    return shown


@router.post("/proposals/batch/approve")  # before the next, whose {proposal_id} would take "batch"
async def batch_approve(db: Db, batch: Batch, user: User = None) -> dict[str, Any]:
    """Approve many, each on its own: those that cannot be are named with the reason."""
    approved, failed = [], {}
    for proposal_id in dict.fromkeys(batch.proposal_ids):
        try:
            approved.append((await decide(db, proposal_id, "approve", user)).id)
        except HTTPException as error:
            await db.rollback()
            failed[str(proposal_id)] = error.detail
    return {"approved": approved, "failed": failed}


@router.post("/proposals/{proposal_id}/approve")
async def approve(db: Db, proposal_id: UUID, user: User = None) -> Out:
    """Approve one: it becomes a topic or an atom, unless it was found to be a duplicate."""
    return await decide(db, proposal_id, "approve", user)


@router.post("/proposals/{proposal_id}/reject")
async def reject(db: Db, proposal_id: UUID, user: User = None) -> Out:
    """Reject one."""
    return await decide(db, proposal_id, "reject", user)


@router.post("/extract", status_code=202)
async def extract(limit: Annotated[int, Query(ge=1, le=100)] = 50) -> dict[str, str]:
    """Start an extraction run now instead of waiting for the schedule."""
    return {"task_id": await enqueue(extract_knowledge_from_messages, limit=limit)}
