"""The database: one engine per process, which never insists that the server is there at start."""

import os
import re
import sys
from collections.abc import AsyncIterator
from functools import cache
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.config import settings


def component() -> str:
    """Which command this process is: worker, scheduler, alembic, or else the api."""
    command = os.path.basename(sys.argv[0])
    return sys.argv[1] if command == "taskiq" and len(sys.argv) > 1 else "alembic" if command == "alembic" else "api"


def server_settings() -> dict[str, str]:
    """What each connection sets: its name in pg_stat_activity, and what PGOPTIONS asks for.

    libpq reads PGOPTIONS ("-c lock_timeout=1s"), asyncpg does not; operators rely on it for migrations.
    """
    asked = re.findall(r"-c\s*([\w.]+)=(\S+)", os.environ.get("PGOPTIONS", ""))
    return {"application_name": f"tasktracker-{component()}-{settings.DEPLOYMENT_SLOT}", "jit": "off", **dict(asked)}


@cache
def engine() -> AsyncEngine:
    """The engine of this process; connections are checked before use, so a restarted server is no error."""
    return create_async_engine(
        settings.DATABASE_URL, pool_pre_ping=True, pool_size=settings.DB_POOL_SIZE,
        max_overflow=settings.DB_MAX_OVERFLOW, pool_timeout=10, pool_recycle=1800,
        connect_args={"timeout": 5, "command_timeout": 60, "server_settings": server_settings()},
    )


def session() -> AsyncSession:
    """A new session: `async with session() as db`; nothing is committed unless asked."""
    return async_sessionmaker(engine(), expire_on_commit=False)()


async def request_session() -> AsyncIterator[AsyncSession]:
    """FastAPI dependency: a session for one request."""
    async with session() as db:
        yield db


Db = Annotated[AsyncSession, Depends(request_session)]
