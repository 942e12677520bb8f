"""What a load's requests say about the moves that were made meanwhile. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rehearsal.load import series
from rehearsal.load.clients import Sent

REST = "rest"


class Window(NamedTuple):
    """A time in which something was done; Unix times in seconds."""

    kind: str
    since: float
    until: float


def parts(sent: Iterable[Sent], windows: Sequence[Window], quiet: float) -> dict[str, list[Sent]]:
    """The requests on their way in each kind of window, and those at rest: `quiet` seconds or more from any.

    Windows do not overlap. What is nearer to one, but not in it, belongs to neither.
    """
    ordered = sorted(windows, key=lambda window: window.since)
    begins = [window.since for window in ordered]
    found: dict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        end = one.t + one.ms / 1000
        at, near = bisect_right(begins, end + quiet), False
        while at and ordered[at - 1].until + quiet >= one.t:
            at -= 1
            near = True
            if ordered[at].since <= end and ordered[at].until >= one.t:
                found[ordered[at].kind].append(one)
        if not near:
            found[REST].append(one)
    return dict(found)


def latencies(sent: Iterable[Sent], windows: Sequence[Window], quiet: float) -> dict[str, dict[str, Any]]:
    """Count, failures, and latency in ms of each of these parts."""
    return {
        kind: {"sent": len(group), "failed": len(series.failures(group)), **series.latency(group)}
        for kind, group in parts(sent, windows, quiet).items()
    }


def last_on(sent: Iterable[Sent], slot: str, since: float, until: float) -> float | None:
    """Seconds after `since` at which the last request was sent that this slot answered; None: it answered none."""
    times = [one.t for one in sent if one.slot == slot and since <= one.t < until]
    return round(max(times) - since, 3) if times else None
