"""Metrics by S0's names, the ones its alerts use without defining them, and the request figures of each slot."""

import logging
import os
import time
from pathlib import Path

# The processes of one container add up in this directory, on its tmpfs; it must be there before the next import.
Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", "/tmp/metrics")).mkdir(parents=True, exist_ok=True)

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402

from app.config import settings  # noqa: E402

log = logging.getLogger("app.access")
KINDS = ("topic", "atom")
SLOT = {"slot": settings.DEPLOYMENT_SLOT, "release": settings.RELEASE}
QUIET = {"/", "/api/health", "/api/health/detailed", "/api/metrics"}

http_requests = Counter("http_requests_total", "Requests answered", ["method", "route", "status", "slot", "release"])
http_duration = Histogram("http_request_duration_seconds", "Time to answer a request", ["slot", "release"],
                          buckets=(.005, .01, .025, .05, .1, .2, .5, 1, 2.5, 5, 10, 30))
websocket_clients = Gauge("websocket_clients", "Open WebSockets", list(SLOT),
                          multiprocess_mode="livesum").labels(**SLOT)
background_jobs = Counter("background_job_total", "Background jobs ended (worker)", ["job", "status"])

if settings.has_proposals:
    creation_total = Counter("knowledge_proposal_creation_total", "Total proposals created",
                             ["entity_type", "status"])
    creation_duration = Histogram("knowledge_proposal_creation_duration_seconds", "Time to create proposal",
                                  ["entity_type"])
    creation_errors = Counter("knowledge_proposal_creation_errors_total", "Proposals that could not be created")
    review_total = Counter("knowledge_proposal_review_total", "Total proposals reviewed", ["action", "entity_type"])
    similarity_duration = Histogram("knowledge_similarity_check_duration_seconds", "Time to check for duplicates")
    duplicates_total = Counter("knowledge_duplicates_detected_total", "Total duplicates detected", ["detection_type"])
    run_duration = Histogram("knowledge_extraction_run_duration_seconds", "Time to complete extraction run",
                             buckets=(.1, .5, 1, 5, 15, 30, 45, 60, 120, 300))
    run_proposals = Histogram("knowledge_extraction_run_proposals_created", "Number of proposals per extraction run",
                              buckets=(0, 1, 2, 5, 10, 25, 50, 100))
    auto_approval_total = Counter("knowledge_auto_approval_total", "Total auto-approved proposals",
                                  ["confidence_bucket"])
    for kind in KINDS:  # a series that starts at 0 can be alerted on; one that is not there cannot
        creation_total.labels(kind, "pending")
        creation_duration.labels(kind)
        for action in ("approve", "reject", "auto_approve", "expire"):
            review_total.labels(action, kind)
    for detection in ("exact", "semantic", "fuzzy"):
        duplicates_total.labels(detection)
    for bucket in ("0.9-0.95", "0.95-1.0"):
        auto_approval_total.labels(bucket)


def registry() -> CollectorRegistry:
    """What all processes of this container counted, together."""
    together = CollectorRegistry()
    MultiProcessCollector(together)
    return together


def serve(port: int) -> None:
    """Serve the figures on a port of their own; where a sister process does so already, it answers for both."""
    try:
        start_http_server(port, registry=registry())
    except OSError as error:
        log.info("metrics are served by another process: %s", error)


class RequestMetrics:
    """ASGI middleware: counts, times and logs each request by its route's template, not by its path.

    An exception of the app becomes a 500 here. Left to uvicorn it would also cut the keep-alive connection, and the
    next request on it, an innocent one, would fail as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, begun, started = 500, False, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:
            if begun:
                raise
            log.exception("request failed", extra={"method": scope["method"], "path": scope["path"]})
            await JSONResponse({"detail": "internal error"}, 500)(scope, receive, send)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "none")
            http_requests.labels(method=scope["method"], route=route, status=status, **SLOT).inc()
            http_duration.labels(**SLOT).observe(seconds)
            log.log(logging.DEBUG if scope["path"] in QUIET else logging.INFO, "request", extra={
                "method": scope["method"], "path": scope["path"], "status": status, "ms": round(seconds * 1000, 1)})
