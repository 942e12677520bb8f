"""The jobs that 1.1.0 brings: extraction, auto-review every 5 minutes, expiry at 02:00 (S0, phase 5)."""

import hashlib
import logging
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from app import flags, metrics, proposals
from app.config import settings
from app.db import session
from app.models import Message
from app.tasks import Result, broker, job

log = logging.getLogger("app.tasks")


def confidence(text: str) -> float:
    """Between 0.50 and 0.99, always the same for the same text (where a real system asks a language model)."""
    return 0.5 + hashlib.sha256(text.encode()).digest()[0] % 50 / 100


@job(cron="*/2 * * * *", flag="knowledge_proposals")
async def extract_knowledge_from_messages(limit: int = 50) -> Result:
    """Propose an atom for each new message of the last day, and a topic for each #tag that is new."""
    started, created = time.perf_counter(), []
    detect = await flags.is_on("duplicate_detection")
    await broker.publish("knowledge", "extraction_started", {"limit": limit})
    async with session() as db:
        recent = Message.sent_at > datetime.now(UTC) - timedelta(days=1)
        query = select(Message).where(Message.extracted_at.is_(None), recent).order_by(Message.id)
        found = (await db.scalars(query.limit(limit).with_for_update(skip_locked=True))).all()
        tags = sorted({word for message in found for word in message.content.split() if word.startswith("#")})
        wanted = [("topic", tag[1:][:200] or "tag", f"Messages tagged {tag}") for tag in tags]
        wanted += [("atom", " ".join(message.content.split()[:8])[:200] or "-", message.content) for message in found]
        for kind, title, content in wanted[: settings.KNOWLEDGE_PROPOSALS_MAX_PENDING_PER_RUN]:
            row = await proposals.create(db, kind, title, content, confidence(title), detect)
            created.append({"id": row.id, "entity_type": kind, "title": title})
        for message in found:
            message.extracted_at = datetime.now(UTC)
        await db.commit()
    for one in created:
        await broker.publish("proposals", "created", one)
    metrics.run_duration.observe(time.perf_counter() - started)
    metrics.run_proposals.observe(len(created))
    result = {"messages": len(found), "proposals": len(created)}
    await broker.publish("knowledge", "extraction_completed", result)
    return result


@job(cron="*/5 * * * *", flag="auto_approve")
async def auto_review_high_confidence_proposals() -> Result:
    """Approve what is pending and at or above the threshold."""
    threshold, approved = settings.KNOWLEDGE_PROPOSALS_AUTO_APPROVE_THRESHOLD, 0
    for kind, model in proposals.MODELS.items():
        async with session() as db:
            query = select(model).where(model.status == "pending", model.confidence >= threshold)
            for row in (await db.scalars(query.limit(500).with_for_update(skip_locked=True))).all():
                await proposals.review(db, row, "auto_approve", "auto-review")
                log.info("Auto-approved %s proposal %s", kind, row.id)
                approved += 1
            await db.commit()
    return {"approved": approved}


@job(cron="0 2 * * *", flag="expiration")
async def expire_old_proposals() -> Result:
    """Close what nobody reviewed in KNOWLEDGE_PROPOSALS_EXPIRATION_DAYS."""
    before, expired = datetime.now(UTC) - timedelta(days=settings.KNOWLEDGE_PROPOSALS_EXPIRATION_DAYS), 0
    for model in proposals.MODELS.values():
        async with session() as db:
            query = select(model).where(model.status == "pending", model.created_at < before)
            for row in (await db.scalars(query.with_for_update(skip_locked=True))).all():
                await proposals.review(db, row, "expire", "expiry")
                expired += 1
            await db.commit()
    return {"expired": expired}
