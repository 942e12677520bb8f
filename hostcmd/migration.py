"""The schema change of a recreate, which may still run when the old release shall come back.

It is waited for, and never ended here: what half a change leaves behind, nobody knows, and an old release that starts
beside one is what `recreate` was chosen to rule out. So the maintenance page stays, and that is said.
"""

from __future__ import annotations

import time

from hostcmd import clock, durable, peers, timers
from hostcmd.site import Site
from hostcmd.state import State, dump, half_way
from hostcmd.stop import LOCKED, Stop

WAIT = 120.0  # seconds; less than a person waits for somebody else who goes back (taken.py)
POLL = 1.0


def over(site: Site, state: State) -> bool:
    """Whether what a recreate was opened for changes the schema no more, after a wait where it did."""
    if not state["opened"] or not site.migration:
        return True
    limit = time.monotonic() + WAIT
    while _runs(site, site.migration[0]):
        if time.monotonic() >= limit:
            return False
        time.sleep(POLL)
    return True


def _runs(site: Site, host: str) -> bool:
    """As the host says; one that is away, or too old for the question, is not waited for."""
    try:
        return bool(peers.ask(site, host, {"verb": "migration"})["runs"])
    except Stop:
        return False


def refusal(site: Site, back_to: str | None) -> Stop:
    """Why the old release does not start yet, and what a person may do."""
    host, name = site.migration or ("?", "?")
    fact = f"the migration still runs on {host} ({name}), and {back_to} never starts beside it"
    fact += "; the maintenance page stays"
    look = f"on {host}: docker logs {name}   (docker stop {name} ends it)"
    return Stop(LOCKED, fact, f"{look}; then: changeover rollback {site.system}")


def decided(site: Site, state: State, why: str, hold: bool) -> None:
    """The way back is decided, though it cannot begin yet: the lease is over, so no deploy can go on with the switch.

    The alarm tries it again until it is done. Arguments: site; the state; the reason; whether the candidate is held.
    """
    failed = half_way(state)
    lease = {**state["lease"], **clock.deadline(site.root, -1.0), "why": why}
    held = {**state["held"], failed: why} if hold and failed else state["held"]
    new = {**state, "lease": lease, "held": held, "seq": state["seq"] + 1}
    durable.write(site.kept("state.json"), dump(new))
    timers.arm(site, timers.RETRY)
