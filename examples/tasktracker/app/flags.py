"""Feature flags: the environment's default, overridden at run time by a row every process reads."""

import time

from sqlalchemy import select

from app.config import settings
from app.db import session
from app.models import FeatureFlag

TTL = 1.0  # seconds a process may go on with what it read
DEFAULTS: dict[str, bool] = {}
if settings.has_proposals:
    DEFAULTS = {
        "knowledge_proposals": settings.KNOWLEDGE_PROPOSALS_ENABLED,
        "internal_only": settings.KNOWLEDGE_PROPOSALS_INTERNAL_ONLY,
        "auto_approve": settings.KNOWLEDGE_PROPOSALS_AUTO_APPROVE_ENABLED,
        "duplicate_detection": settings.KNOWLEDGE_PROPOSALS_DUPLICATE_DETECTION_ENABLED,
        "expiration": settings.KNOWLEDGE_PROPOSALS_EXPIRATION_ENABLED,
    }
_read: tuple[float, dict[str, bool]] = (0.0, {})


async def overrides(fresh: bool = False) -> dict[str, bool]:
    """The rows of feature_flags, at most TTL seconds old, or just read when `fresh`."""
    global _read
    if fresh or time.monotonic() - _read[0] > TTL:
        async with session() as db:
            rows = await db.execute(select(FeatureFlag.name, FeatureFlag.enabled))
            _read = (time.monotonic(), {name: enabled for name, enabled in rows})
    return _read[1]


async def is_on(flag: str, user_id: str | None = None) -> bool:
    """Whether a flag is on, for this user where `internal_only` narrows the proposals to internal users (S0)."""
    values = DEFAULTS | await overrides()
    if flag == "knowledge_proposals" and values.get(flag) and values["internal_only"] and user_id != "worker":
        return user_id in settings.KNOWLEDGE_PROPOSALS_INTERNAL_USERS.split(",")
    return values.get(flag, False)
