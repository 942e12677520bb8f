"""Taking the system for a change: nobody else is at work, nothing is left half-done, and the caller is not late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hostcmd import busy, lock, recover
from hostcmd.site import Site
from hostcmd.state import State
from hostcmd.stop import STALE, Stop
from hostcmd.transaction import Note, committed, load

WAIT = 5.0  # seconds
EMERGENCY_WAIT = 180.0  # seconds: going back waits for a stop that is under way rather than giving up


@dataclass(frozen=True)
class Call:
    """What every changing verb may be given."""

    verb: str
    txn: str | None
    by: str
    why: str = ""
    owner: str = ""
    expect: int | None = None
    fence: int | None = None

    def note(self) -> Note:
        """For journal and audit; a name is made where none was given."""
        return Note(self.verb, self.txn or recover.txn(), self.by, self.why)


@dataclass(frozen=True)
class Taken:
    """The state, and what had to be put right before."""

    state: State
    settled: list[str]


@contextmanager
def taken(site: Site, call: Call, emergency: bool = False) -> Iterator[Taken]:
    """Holds the system for one change.

    Arguments: site; the call; whether a deploy's lock is passed over (rollback, maintenance). Raises Stop: 3 when
    somebody else is at work, 4 when the expected generation or the fencing number is not true any more, 6.
    """
    with busy.busy(site, call.verb, call.by, EMERGENCY_WAIT if emergency else WAIT):
        # Going back waits for no person: a damaged journal is kept aside, and what is written down holds.
        settled = recover.settle_whatever(site) if emergency else recover.settle(site)
        if not emergency:
            lock.check(site, {call.owner, call.by, call.txn or ""}, call.fence)
        state = load(site)
        if call.expect is not None and state["generation"] != call.expect:
            fact = f"generation {call.expect} was expected, {state['generation']} is live"
            reason = f" ({'; '.join(settled)})" if settled else ""
            raise Stop(STALE, fact + reason, f"changeover status {site.system}")
        yield Taken(state, settled)


def stale(site: Site, call: Call) -> bool:
    """Whether this change was made before under its name, and something else has come since."""
    return bool(call.txn and committed(site, call.txn, call.verb))
