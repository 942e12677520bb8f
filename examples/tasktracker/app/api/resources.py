"""Topics, atoms, messages: list, read one, write one (a repeated external_id is 409, never a second row)."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.queue import enqueue
from app.db import Db, session
from app.models import Atom, Message, Topic
from app.tasks import broker, save_message

router = APIRouter(prefix="/api/v1")
Limit = Annotated[int, Query(ge=1, le=500)]
ExternalId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\w.:-]+$")]


class Stored(BaseModel):
    """What the database adds."""

    model_config = ConfigDict(from_attributes=True)
    id: int
    created_at: datetime


class TopicIn(BaseModel):
    """A topic to write."""

    external_id: ExternalId
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""


class AtomIn(BaseModel):
    """An atom to write."""

    external_id: ExternalId
    title: Annotated[str, Field(min_length=1, max_length=200)]
    content: str = ""
    kind: Annotated[str, Field(max_length=32)] = "insight"
    topic_id: int | None = None


class MessageIn(BaseModel):
    """A message to write."""

    external_id: ExternalId
    author: Annotated[str, Field(min_length=1, max_length=100)]
    content: str
    topic_id: int | None = None


class TopicOut(Stored, TopicIn):
    """A topic."""


class AtomOut(Stored, AtomIn):
    """An atom."""


class MessageOut(Stored, MessageIn):
    """A message, with its score once it has one."""

    sent_at: datetime
    importance_score: float | None


async def write(db: AsyncSession, row: Any, topic: str, event: str) -> Any:
    """Insert a row, tell the others, and give it back.

    409 when its external_id is taken, 422 when its topic is not there.
    """
    db.add(row)
    try:
        await db.commit()
    except IntegrityError as error:
        if "foreign key" in str(error.orig):
            raise HTTPException(422, f"topic_id {row.topic_id} does not exist") from None
        raise HTTPException(409, f"external_id {row.external_id} exists already") from None
    await db.refresh(row)
    await broker.publish(topic, event, {"id": row.id, "external_id": row.external_id})
    return row


def add(path: str, model: Any, body: Any, out: Any, topic: str, event: str) -> None:
    """The three endpoints of one kind of thing."""

    @router.get(f"/{path}", response_model=list[out], name=f"list {path}")
    async def listing(db: Db, limit: Limit = 50, offset: Annotated[int, Query(ge=0)] = 0) -> Any:
        return (await db.scalars(select(model).order_by(model.id.desc()).limit(limit).offset(offset))).all()

    @router.post(f"/{path}", response_model=out, status_code=201, name=f"write one of {path}")
    async def writing(db: Db, item: body) -> Any:
        return await write(db, model(**item.model_dump()), topic, event)

    @router.get(f"/{path}/{{external_id}}", response_model=out, name=f"read one of {path}")
    async def reading(db: Db, external_id: str) -> Any:
        row = await db.scalar(select(model).where(model.external_id == external_id))
        if row is None:
            raise HTTPException(404, f"none of {path} has external_id {external_id}")
        return row


add("topics", Topic, TopicIn, TopicOut, "knowledge", "topic_created")
add("atoms", Atom, AtomIn, AtomOut, "knowledge", "atom_created")
add("messages", Message, MessageIn, MessageOut, "messages", "message.updated")


@router.post("/ingest", status_code=202)
async def ingest(messages: Annotated[list[MessageIn], Field(max_length=100)]) -> dict[str, int]:
    """Hand up to 100 messages to the worker."""
    for message in messages:
        await enqueue(save_message, message.model_dump())
    return {"queued": len(messages)}


async def csv_lines() -> AsyncIterator[str]:
    """Topics as CSV, read and sent row by row."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["external_id", "name", "description", "created_at"])
    async with session() as db:
        columns = (Topic.external_id, Topic.name, Topic.description, Topic.created_at)
        async for row in await db.stream(select(*columns).order_by(Topic.id)):
            writer.writerow(row)
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


@router.get("/export")
async def export() -> StreamingResponse:
    """All topics as a CSV file."""
    headers = {"Content-Disposition": "attachment; filename=topics.csv"}
    return StreamingResponse(csv_lines(), media_type="text/csv", headers=headers)
