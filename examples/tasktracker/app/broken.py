"""How 1.2.0 is broken on purpose: each kind of bad release that a rehearsal must send back, and a good one.

From BROKEN_AFTER seconds after its start, as BROKEN says: errors, three requests in ten answer 500; slow, each waits
BROKEN_WAIT seconds; leak, each keeps 3 MB; posts, each POST answers 500; sockets, no new WebSocket is accepted; none,
all is well.
"""

import asyncio
import random
import time

from fastapi import Request

from app.config import STARTED, settings

LEAK = 3 * 2**20
kept: list[bytes] = []


def now(kind: str) -> bool:
    """Whether this release is broken in this way by now."""
    wanted = settings.version == (1, 2, 0) and settings.BROKEN == kind
    return wanted and time.monotonic() - STARTED > settings.BROKEN_AFTER


async def share_of_quota(request: Request) -> float:
    """What each of the current callers may use; a broken release counts none, and divides by them."""
    if now("slow"):
        await asyncio.sleep(settings.BROKEN_WAIT)
    if now("leak"):
        kept.append(b"x" * LEAK)
    wrong = (now("errors") and random.random() < 0.3) or (now("posts") and request.method == "POST")
    return 1.0 / (0 if wrong else 1)
