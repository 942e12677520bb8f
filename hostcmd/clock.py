"""Time: since boot for everything that decides, UTC only for people. A wall clock that jumps decides nothing."""

from __future__ import annotations

import os
import time

BOOT_ID = "proc/sys/kernel/random/boot_id"


def boottime() -> float:
    """Seconds since boot, suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id(root: str) -> str:
    """The name of this boot; a test's root may hold one of its own."""
    own = os.path.join(root, BOOT_ID)
    with open(own if os.path.exists(own) else f"/{BOOT_ID}") as file:
        return file.read().strip()


def now() -> str:
    """UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def deadline(root: str, seconds: float) -> dict[str, object]:
    """A moment `seconds` from now that survives neither a reboot nor is moved by a clock."""
    return {"deadline_boottime": round(boottime() + seconds, 3), "boot_id": boot_id(root)}


def since(root: str, moment: dict[str, object] | None) -> float | None:
    """Seconds since a moment ({"boottime", "boot_id"}); None for none, or one of another boot."""
    if not moment or moment["boot_id"] != boot_id(root):
        return None
    return boottime() - float(str(moment["boottime"]))


def left(root: str, moment: dict[str, object]) -> float:
    """Seconds until a deadline; 0 when it has passed or belongs to another boot."""
    if moment["boot_id"] != boot_id(root):
        return 0.0
    return max(0.0, float(str(moment["deadline_boottime"])) - boottime())
