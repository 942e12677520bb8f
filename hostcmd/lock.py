"""The lock of a deploy: held over many commands, with a heartbeat; its expiry counts from boot, not by the clock.

A folder `lock/` that comes into being whole, by renaming. Each new owner gets a higher fencing number: one that was
asleep too long and comes back is told so. (busy.py is the short lock of a single command.)
"""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

from hostcmd import clock, durable
from hostcmd.site import Site
from hostcmd.stop import LOCKED, STALE, Stop

Lock = dict[str, Any]


def held(site: Site) -> Lock | None:
    """The lock as it is written down, expired or not; None when it is free."""
    try:
        text = durable.read(site.kept("lock/owner.json"))
        found = json.loads(text) if text else None
        return found if isinstance(found, dict) else None
    except ValueError:
        return None


def left(site: Site, lock: Lock | None) -> float:
    """Seconds until it expires; 0 for none, expired, or taken before the host booted."""
    return clock.left(site.root, lock) if lock else 0.0


def shown(site: Site) -> Lock | None:
    """The lock for people and machines, with `left` seconds; None when it is free or expired."""
    lock = held(site)
    seconds = left(site, lock)
    return {**lock, "left": round(seconds, 1)} if lock and seconds else None


def check(site: Site, names: set[str], fence: int | None) -> None:
    """Nobody else holds it, and the fencing number, where one is given, is that of the lock that is held now.

    Raises Stop: 3 while another holds it, 4 for a number that is no longer true.
    """
    lock = held(site)
    free = not left(site, lock)
    if fence is not None and (free or not lock or lock["fence"] != fence):
        now = (
            f"{lock['owner']} holds it with fence {lock['fence']}" if lock and not free else "nobody holds it"
        )
        raise Stop(
            STALE, f"the lock with fence {fence} is lost: {now}", f"changeover lock {site.system} show"
        )
    if lock and not free and lock["owner"] not in names:
        raise Stop(
            LOCKED, f"{site.system} is locked {_words(site, lock)}", f"changeover lock {site.system} show"
        )


def _words(site: Site, lock: Lock) -> str:
    return f"by {lock['owner']} since {lock['since']} for another {left(site, lock):.0f} s: {lock['reason']}"


def acquire(site: Site, owner: str, reason: str, ttl: float) -> Lock:
    """Takes it, or renews what the same owner holds already. Raises Stop (3) while another holds it."""
    check(site, {owner}, None)
    lock = held(site)
    if lock and left(site, lock):
        return renew(site, owner, ttl)
    fence = int(durable.read(site.kept("fence")) or "0") + 1
    durable.write(site.kept("fence"), f"{fence}\n")
    new = site.kept(".lock.new")
    shutil.rmtree(new, ignore_errors=True)
    durable.make_folder(new)
    lock = {"owner": owner, "reason": reason, "fence": fence, "since": clock.now(), "ttl": ttl}
    lock |= clock.deadline(site.root, ttl)
    durable.write(f"{new}/owner.json", json.dumps(lock))
    free(site)
    os.rename(new, site.kept("lock"))
    durable.sync_folder(site.kept())
    return lock


def renew(site: Site, owner: str, ttl: float | None) -> Lock:
    """The heartbeat. Raises Stop (4) when it is not held by this owner any more."""
    lock = held(site)
    if not lock or not left(site, lock) or lock["owner"] != owner:
        now = f"it is held {_words(site, lock)}" if lock and left(site, lock) else "nobody does"
        then = f"changeover lock {site.system} acquire --owner {owner}"
        raise Stop(STALE, f"{owner} does not hold the lock: {now}", then)
    lock = {**lock, "ttl": ttl or lock["ttl"], **clock.deadline(site.root, ttl or lock["ttl"])}
    durable.write(site.kept("lock/owner.json"), json.dumps(lock))
    return lock


def release(site: Site, owner: str) -> bool:
    """Gives it back; False when it was free already. Raises Stop (3) when another holds it."""
    check(site, {owner}, None)
    was = held(site) is not None
    free(site)
    return was


def free(site: Site) -> None:
    """Nobody holds it, whoever did."""
    old = site.kept(".lock.old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        os.rename(site.kept("lock"), old)
    except FileNotFoundError:
        return
    shutil.rmtree(old, ignore_errors=True)
