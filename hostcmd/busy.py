"""One change at a time on the coordinator: a lock of the kernel's, so a killed process leaves none behind."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hostcmd import clock, durable
from hostcmd.site import Site
from hostcmd.stop import LOCKED, Stop

FILE = "busy"
POLL = 0.05


def holder(site: Site) -> dict[str, str] | None:
    """Who is at work now; None for nobody."""
    try:
        handle = os.open(site.kept(FILE), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _said(handle)
    finally:
        os.close(handle)


def _said(handle: int) -> dict[str, str]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


@contextmanager
def busy(site: Site, verb: str, by: str, wait: float, name: str = FILE) -> Iterator[None]:
    """Holds the system, or one part of this host (`name`), while something is changed.

    Arguments: site; what is done and by whom, for those who must wait; seconds to wait; which lock. Raises Stop (3).
    """
    durable.make_folder(site.kept())
    limit = time.monotonic() + wait
    handle = os.open(site.kept(name), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= limit:
                    raise Stop(LOCKED, *_refusal(site, _said(handle))) from None
                time.sleep(POLL)
        said = {"verb": verb, "by": by, "since": clock.now(), "pid": str(os.getpid())}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(said).encode(), 0)
        yield
    finally:
        os.close(handle)


def _refusal(site: Site, who: dict[str, str]) -> tuple[str, str]:
    what = (
        f"{who.get('verb', 'a change')} by {who.get('by', 'somebody')} since {who.get('since', 'a moment')}"
    )
    return (
        f"{site.system} is busy: {what} (process {who.get('pid', '?')} on {site.me})",
        "wait, then the same again",
    )
