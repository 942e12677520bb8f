"""The api: put together by release. Starts whether or not database and NATS are there."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import events, logs
from app.api import admin, health, proposals, resources, testing
from app.broken import share_of_quota
from app.config import settings
from app.db import engine
from app.metrics import RequestMetrics
from app.tasks import broker

logs.configure()
log = logging.getLogger("app")


async def connect() -> None:
    """Listen to the events of all processes, from whenever NATS is there, and again after each loss."""
    await broker.startup()
    await broker.client.subscribe("events.>", cb=events.broadcast)
    log.info("listening to events")


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Connect beside serving, not before it."""
    connecting = asyncio.create_task(connect())
    yield
    connecting.cancel()
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await connecting
    await broker.shutdown()
    await engine().dispose()


app = FastAPI(title="TaskTracker", version=settings.RELEASE, lifespan=lifespan, max_body_size=2**20)
app.add_middleware(RequestMetrics)


@app.exception_handler(OSError)
@app.exception_handler(PoolTimeout)
@app.exception_handler(DBAPIError)
async def database_away(_: Request, error: Exception) -> JSONResponse:
    """503 while the database cannot be reached; what it refuses for another reason is our mistake, a 500."""
    if isinstance(error, DBAPIError) and not error.connection_invalidated:
        raise error
    log.warning("the database does not answer: %s", type(error).__name__)
    return JSONResponse({"detail": "the database does not answer"}, 503, {"Retry-After": "5"})


app.include_router(health.router)
app.include_router(events.router)
groups = [resources, admin, testing] + ([proposals] if settings.has_proposals else [])
for group in groups:
    app.include_router(group.router, dependencies=[Depends(share_of_quota)])
