"""The worker's jobs and the scheduler. `taskiq worker app.tasks:broker`, `taskiq scheduler app.tasks:scheduler`."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from taskiq import TaskiqEvents, TaskiqScheduler, TaskiqState
from taskiq.schedule_sources import LabelScheduleSource

from app import flags, metrics
from app.broker import heartbeat, make_broker
from app.config import settings
from app.db import session
from app.embedding import embed
from app.logs import configure
from app.models import Job, Message

log = logging.getLogger("app.tasks")
broker = make_broker()
Result = dict[str, Any]


class Scheduler(TaskiqScheduler):
    """taskiq's scheduler with JSON logs and a heartbeat. One instance only: two would send each job twice."""

    async def startup(self) -> None:
        """Wait for NATS, then say so in the words S0 looks for.

        As a container's first process it would not hear SIGTERM at all without a handler, and taskiq sets none.
        """
        configure()
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await super().startup()
        self.heartbeat = asyncio.create_task(heartbeat(broker))
        log.info("Scheduler started")


scheduler = Scheduler(broker, [LabelScheduleSource(broker)])


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def worker_startup(state: TaskiqState) -> None:
    """JSON logs, a heartbeat for the health check, and the worker's own metrics on METRICS_PORT (0: none)."""
    configure()
    state.heartbeat = asyncio.create_task(heartbeat(broker))
    if settings.METRICS_PORT:
        metrics.serve(settings.METRICS_PORT)
    log.info("Worker started")


async def begin(name: str) -> int:
    """Note that a job runs. Waits for the database as long as it takes: the queue keeps what is not acknowledged."""
    while True:
        try:
            async with session() as db:
                job = Job(name=name, status="running")
                db.add(job)
                await db.commit()
                return job.id
        except (DBAPIError, OSError, TimeoutError) as error:
            log.warning("%s waits for the database: %s", name, type(error).__name__)
            await asyncio.sleep(3)


async def end(job: int, name: str, status: str, **values: Any) -> None:
    """Note how a job ended."""
    metrics.background_jobs.labels(name, status).inc()
    async with session() as db:
        await db.execute(update(Job).where(Job.id == job).values(status=status, finished_at=func.now(), **values))
        await db.commit()


def job(cron: str = "", flag: str = "") -> Callable[[Callable[..., Awaitable[Result]]], Any]:
    """Register a job: noted in message_ingestion_job, sent at `cron`, left alone while `flag` is off."""

    def register(work: Callable[..., Awaitable[Result]]) -> Any:
        name = work.__name__

        @wraps(work)
        async def run(*args: Any, **kwargs: Any) -> Result:
            if flag and not await flags.is_on(flag, "worker"):
                return {"skipped": f"{flag} is off"}
            number = await begin(name)
            log.info("Starting %s", name, extra={"job": number})
            try:
                result = await work(*args, **kwargs)
            except Exception as error:
                await end(number, name, "failed", error_log={"error": f"{type(error).__name__}: {error}"[:500]})
                raise
            await end(number, name, "done", result=result)
            log.info("%s completed", name, extra={"job": number, "result": result})
            return result

        return broker.task(task_name=name, schedule=[{"cron": cron}] if cron else [])(run)

    return register


def score(content: str) -> float:
    """How much a message matters: longer and questioning ones more, between 0 and 1."""
    return min(1.0, len(content.split()) / 40 + 0.3 * ("?" in content))


@job()
async def save_message(message: Result) -> Result:
    """Store one ingested message with its score and embedding; a repeat changes nothing."""
    values = message | {"importance_score": score(message["content"]), "embedding": embed(message["content"])}
    async with session() as db:
        query = insert(Message).values(**values).on_conflict_do_nothing(index_elements=["external_id"])
        saved = await db.scalar(query.returning(Message.id))
        await db.commit()
    if saved is not None:
        await broker.publish("messages", "ingestion.completed", {"id": saved, "external_id": message["external_id"]})
    return {"saved": int(saved is not None)}


@job()
async def score_message(message_id: int) -> Result:
    """Score one message."""
    async with session() as db:
        message = await db.get_one(Message, message_id)
        message.importance_score = score(message.content)
        await db.commit()
    await broker.publish("noise_filtering", "message_scored", {"id": message_id, "score": message.importance_score})
    return {"scored": 1}


@job(cron="*/2 * * * *")
async def score_unscored_messages(limit: int = 100) -> Result:
    """Score the newest messages without a score."""
    async with session() as db:
        query = select(Message).where(Message.importance_score.is_(None)).order_by(Message.sent_at.desc())
        found = (await db.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()
        for message in found:
            message.importance_score = score(message.content)
        await db.commit()
    await broker.publish("noise_filtering", "batch_scored", {"count": len(found)})
    return {"scored": len(found)}


@job(cron="*/5 * * * *")
async def embed_messages_batch(batch_size: int = 100) -> Result:
    """Embed the newest messages without an embedding."""
    async with session() as db:
        query = select(Message).where(Message.embedding.is_(None)).order_by(Message.id.desc())
        found = (await db.scalars(query.limit(batch_size).with_for_update(skip_locked=True))).all()
        for message in found:
            message.embedding = embed(message.content)
        await db.commit()
    return {"embedded": len(found)}


@job(cron="30 3 * * *")
async def clean_up_jobs(days: int = 7) -> Result:
    """Forget jobs that were done so many days ago; failed ones stay for a person to see."""
    async with session() as db:
        old = Job.finished_at < datetime.now(UTC) - timedelta(days=days)
        deleted = (await db.scalars(delete(Job).where(Job.status == "done", old).returning(Job.id))).all()
        await db.commit()
    return {"deleted": len(deleted)}


if settings.has_proposals:
    import app.proposal_tasks  # noqa: F401  (registers the jobs of 1.1.0 with this broker)
