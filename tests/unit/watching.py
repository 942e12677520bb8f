"""What the tests of a watched release share: plans, samples, a prober that runs, a clock that moves when one sleeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plans import Hosts, good

from changeover import fleet, probe
from changeover.plan import Plan
from changeover.probe import Sample
from operations import watch

Change = Callable[[Hosts], None]
T = "2026-11-21T14:03:0{}.000Z"


def shop(*changes: Change) -> Plan:
    hosts = good()
    for change in changes:
        change(hosts)
    return fleet.load(hosts)

def sample(second: int = 0, **changes: Any) -> Sample:
    return Sample(**{"t": T.format(second), "kind": "h1", "method": "GET", "path": "/x", "ms": 9.0, **changes})


class Prober:
    """A prober that wrote these samples and runs on, or not."""

    def __init__(self, out: Path, *samples: Sample, running: bool = True):
        self.out, self.running, self.stopped = out, running, 0
        self.write(*samples)

    def write(self, *samples: Sample) -> None:
        self.out.write_text("".join(one.line() + "\n" for one in samples))

    def start(self) -> None:
        pass

    def stop(self) -> dict[str, Any]:
        self.stopped += 1
        return probe.summary(probe.read(self.out))


@pytest.fixture
def probers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(watch, "PROBERS", found)
    yield found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """[now]: seconds that pass only when somebody sleeps."""
    now = [1000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


BAD = sample(3, error="status 502 instead of 200", status=502, slot="green", method="POST")
