"""Sample data: `python -m app.seed --messages 1000000`. Always the same rows; does nothing where they are already."""

import argparse
import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg

from app.config import settings
from app.embedding import SIZE

WORDS = ("deploy release rollback database index backup restore queue worker topic message latency budget review "
         "customer invoice search vector gateway session token cache schema migration alert dashboard metric").split()
START = datetime(2026, 1, 1, tzinfo=UTC)
TOPICS, ATOMS, BATCH = 300, 5000, 100_000


def sentence(rng: Random, words: int) -> str:
    """So many words, always the same for the same generator."""
    return " ".join(rng.choices(WORDS, k=words))


def topics(rng: Random) -> Iterator[tuple[Any, ...]]:
    """external_id, name, description."""
    for number in range(1, TOPICS + 1):
        yield f"seed-topic-{number}", sentence(rng, 3).title(), sentence(rng, 12)


def atoms(rng: Random, ids: list[int]) -> Iterator[tuple[Any, ...]]:
    """external_id, topic_id, kind, title, content, embedding (as text: COPY in text form takes vectors so)."""
    for number in range(1, ATOMS + 1):
        vector = [rng.uniform(-1, 1) for _ in range(SIZE)]
        yield (f"seed-atom-{number}", rng.choice(ids), rng.choice(("insight", "decision", "question")),
               sentence(rng, 4), sentence(rng, 20), "[" + ",".join(f"{x:.4f}" for x in vector) + "]")


def messages(rng: Random, ids: list[int], count: int) -> Iterator[tuple[Any, ...]]:
    """external_id, topic_id, author, content, sent_at, importance_score; one in a hundred is not scored yet."""
    texts = [sentence(rng, rng.randint(6, 24)) for _ in range(2000)]
    for number in range(count):
        topic = rng.choice(ids) if rng.random() < 0.7 else None
        score = None if number % 100 == 0 else round(rng.random(), 3)
        sent = START + timedelta(seconds=number * 20)
        yield f"seed-{number}", topic, f"user{number % 97}", f"{texts[number % 2000]} ({number})", sent, score


async def copy(db: asyncpg.Connection, table: str, columns: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """COPY rows into a table."""
    await db.copy_records_to_table(table, columns=columns.split(), records=rows)


async def seed(count: int) -> str:
    """Load everything in one transaction: all of it is there afterwards, or nothing."""
    db = await asyncpg.connect(settings.DATABASE_URL.replace("+asyncpg", ""), timeout=10, command_timeout=600)
    try:
        if await db.fetchval("SELECT EXISTS (SELECT 1 FROM topics WHERE external_id = 'seed-topic-1')"):
            return "the sample data is there already; nothing to do"
        rng, started = Random(20260101), time.monotonic()
        async with db.transaction():
            await copy(db, "topics", "external_id name description", topics(rng))
            found = await db.fetch("SELECT id FROM topics WHERE external_id LIKE 'seed-topic-%' ORDER BY id")
            ids = [row["id"] for row in found]
            await db.execute("CREATE TEMP TABLE atom_text (e text, t int, k text, i text, c text, v text)")
            await copy(db, "atom_text", "e t k i c v", atoms(rng, ids))
            await db.execute("INSERT INTO atoms (external_id, topic_id, kind, title, content, embedding) "
                             "SELECT e, t, k, i, c, v::vector FROM atom_text")
            source, done = messages(rng, ids, count), 0
            while batch := [row for _, row in zip(range(BATCH), source, strict=False)]:
                await copy(db, "messages", "external_id topic_id author content sent_at importance_score", iter(batch))
                done += len(batch)
                print(f"{done:>9,} of {count:,} messages   {time.monotonic() - started:5.1f} s", flush=True)
        await db.execute("ANALYZE")
        return f"seeded {TOPICS} topics, {ATOMS} atoms, {count:,} messages in {time.monotonic() - started:.1f} s"
    finally:
        await db.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="how many messages (default 1,000,000)")
    print(asyncio.run(seed(parser.parse_args().messages)))
