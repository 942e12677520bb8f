"""Liveness (touches nothing else), the detailed health of S0, and the metrics."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import text

from app import flags
from app import metrics as figures
from app.config import settings
from app.db import session
from app.tasks import broker

log = logging.getLogger("app.health")
router = APIRouter()
PENDING = "SELECT count(*) FROM topic_proposals WHERE status = 'pending'"
BY_STATUS = """SELECT kind, status, count(*) FROM (SELECT 'topic' AS kind, status FROM topic_proposals
               UNION ALL SELECT 'atom', status FROM atom_proposals) p GROUP BY 1, 2"""
LAST_RUN = """SELECT extract(epoch FROM max(finished_at))::float8 FROM message_ingestion_job
              WHERE name = 'extract_knowledge_from_messages' AND status = 'done'"""


@router.get("/")
async def root() -> dict[str, str]:
    """Name and status."""
    return {"name": "TaskTracker", "status": "ok"}


@router.get("/api/health")
async def health() -> dict[str, str]:
    """This process is alive; no dependency is asked."""
    return {"status": "ok", "service": "api", "timestamp": datetime.now(UTC).isoformat(),
            "release": settings.RELEASE, "slot": settings.DEPLOYMENT_SLOT}


async def rows(sql: str) -> list[Any]:
    """The rows of a query, within 3 s."""
    async with asyncio.timeout(3), session() as db:
        return list(await db.execute(text(sql)))


async def check(sql: str) -> dict[str, Any]:
    """One check by SQL; an error is reported by its kind and first line, without any connection data."""
    try:
        return {"status": "ok", "value": (await rows(sql))[0][0]}
    except Exception as error:
        return {"status": "error", "message": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


@router.get("/api/health/detailed")
async def detailed() -> dict[str, Any]:
    """S0's body. Always 200: who decides something must read `status` (ok or degraded)."""
    database, connected = await asyncio.gather(check("SELECT 1"), broker.round_trip())
    database.pop("value", None)
    checks: dict[str, Any] = {"database": database, "nats": {"status": "ok" if connected else "disconnected"}}
    if database["status"] == "ok" and await proposals_on():
        checks["proposals"] = await check(PENDING)
        checks["proposals"]["pending_count"] = checks["proposals"].pop("value", None)
    status = "ok" if all(one["status"] == "ok" for one in checks.values()) else "degraded"
    return {"status": status, "checks": checks, "timestamp": datetime.now(UTC).isoformat(),
            "release": settings.RELEASE, "slot": settings.DEPLOYMENT_SLOT}


async def proposals_on() -> bool:
    """Whether the proposals are on for anybody; not when the flags cannot be read."""
    try:
        return await flags.is_on("knowledge_proposals", "worker")
    except Exception:
        return settings.KNOWLEDGE_PROPOSALS_ENABLED


class Families(Collector):
    """Figures just read from the database, so that every process and slot tells the same."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What was read."""
        yield from self.families


async def database_families() -> list[GaugeMetricFamily]:
    """Queue depth, approval rate, and the last extraction run, that one only while extraction is on."""
    counts = {(kind, status): number for kind, status, number in await rows(BY_STATUS)}
    depth = GaugeMetricFamily("knowledge_proposal_queue_depth", "Proposals by status", labels=["status"])
    for status in ("pending", "approved", "rejected", "expired"):
        depth.add_metric([status], counts.get(("topic", status), 0) + counts.get(("atom", status), 0))
    rate = GaugeMetricFamily("knowledge_proposal_approval_rate", "Share approved", labels=["entity_type"])
    for kind in ("topic", "atom"):
        approved, rejected = counts.get((kind, "approved"), 0), counts.get((kind, "rejected"), 0)
        if approved + rejected:
            rate.add_metric([kind], approved / (approved + rejected))
    families = [depth, rate]
    if await proposals_on() and (ran := (await rows(LAST_RUN))[0][0]) is not None:
        families.append(GaugeMetricFamily("knowledge_extraction_last_run_timestamp_seconds", "Last run", value=ran))
    return families


@router.get("/api/metrics")
async def metrics() -> Response:
    """Prometheus text: this slot's processes together, and what only the database knows."""
    text = generate_latest(figures.registry())
    if settings.has_proposals:
        try:
            registry = CollectorRegistry()
            registry.register(Families(await database_families()))
            text += generate_latest(registry)
        except Exception as error:
            log.warning("no database figures in the metrics: %s", error or type(error).__name__)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
