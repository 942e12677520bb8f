"""The lease of a switch that is half-way: renewed while the run works, given up when it ends, whatever ended it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from plans import good, on_all

from changeover import fleet
from changeover.plan import Plan
from operations import lease, watch


def plan() -> Plan:
    hosts = good()
    on_all("shop.release", {"strategy": "recreate", "lease": "30s"})(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "OPEN", {})
    monkeypatch.setattr(lease, "HEARTS", {})
    yield
    for system in list(lease.HEARTS):
        lease.rest(system)


class Host:
    """A host whose connection can be closed; what it was asked is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, back: bool = True):
        self.asked: list[tuple[str, ...]] = []
        self.closed = 0
        self.connector = self

        def ask(host: Any, *words: str, limit: int = 0) -> tuple[bool, list[str]]:
            self.asked.append(words)
            return back, ["shop is back on 1.0.0"]

        monkeypatch.setattr(lease.lock, "ask", ask)

    def disconnect(self) -> None:
        self.closed += 1

    def log_styled(self, *_: Any, **__: Any) -> None:
        pass


def test_a_run_that_ends_half_way_goes_back_before_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    followed: list[str] = []
    monkeypatch.setattr(lease.commands, "follow", lambda system: followed.append(system) or [])
    lease.keep(host, plan(), "shop", "T1")
    lease.keep(host, plan(), "shop", "T1")
    assert watch.OPEN == {"shop": watch.HALF_WAY}
    host.connector.disconnect()
    assert [words[:3] for words in host.asked] == [("rollback", "shop", "--no-hold")]
    assert followed == ["shop"], "the team's commands too"
    assert watch.OPEN == {"shop": watch.WENT_BACK} and host.closed == 1 and lease.HEARTS == {}


def test_a_way_back_that_fails_is_left_to_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, back=False)
    lease.keep(host, plan(), "shop", "T1")
    host.connector.disconnect()
    assert watch.OPEN == {"shop": watch.BY_LEASE} and host.closed == 1


@pytest.mark.parametrize("state", [None, watch.BY_LEASE, watch.WENT_BACK])
def test_what_was_switched_or_confirmed_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch, state: str | None) -> None:
    host = Host(monkeypatch)
    lease.keep(host, plan(), "shop", "T1")
    watch.OPEN.pop("shop")
    if state:
        watch.OPEN["shop"] = state
    host.connector.disconnect()
    assert host.asked == [] and host.closed == 1


def test_the_lease_is_renewed_three_times_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) > 2:
            raise SystemExit

    host = Host(monkeypatch)
    monkeypatch.setattr(lease.gevent, "sleep", sleep)
    monkeypatch.setattr(lease.gevent, "spawn", lambda beat: pytest.raises(SystemExit, beat) and None)
    lease.keep(host, plan(), "shop", "T1")
    assert naps == [10.0] * 3 and host.asked == [("renew", "shop", "--txn", "T1")] * 2
