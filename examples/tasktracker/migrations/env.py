"""Alembic on asyncpg. `alembic upgrade head` applies, `--sql` only prints; PGOPTIONS="-c lock_timeout=1s" is obeyed."""

import asyncio
import logging
import sys

from alembic import context
from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from app.config import settings
from app.db import server_settings
from app.models import Base

logging.basicConfig(stream=sys.stderr, level=logging.WARN, format="%(levelname)-5.5s [%(name)s] %(message)s")
logging.getLogger("alembic").setLevel(logging.INFO)
OPTIONS = {"target_metadata": Base.metadata, "transaction_per_migration": True}


def migrate(connection: Connection) -> None:
    """Run the migrations, each in a transaction of its own."""
    context.configure(connection=connection, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


async def online() -> None:
    """Connect once, without a pool and without a statement timeout: a migration takes as long as it takes."""
    connect_args = {"timeout": 10, "server_settings": server_settings()}
    engine = create_async_engine(settings.DATABASE_URL, poolclass=NullPool, connect_args=connect_args)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(online())
