"""The lease of a switch that is half-way: renewed while the run works, given up when it ends, whatever ended it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet
from changeover.plan import Plan
from operations import flow, lease, run, watch


def plan() -> Plan:
    hosts = good()
    on_all("shop.release", {"strategy": "recreate", "lease": "30s"})(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "OPEN", {})
    monkeypatch.setattr(lease, "HEARTS", {})
    monkeypatch.setattr(lease, "KEPT", {})
    monkeypatch.setattr(lease, "LEASELESS", set())
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: None)
    yield
    for system in list(lease.HEARTS):
        lease.rest(system)


class Host:
    """A host whose connection can be closed; what it was asked is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, back: bool = True, leases: tuple[Any, ...] = ({"txn": "T1"},)):
        told = iter(leases)
        self.asked: list[tuple[str, ...]] = []
        self.closed = 0
        self.connector = self

        def ask(host: Any, *words: str, limit: int = 0) -> tuple[bool, list[str]]:
            if words[0] == "status":
                found = next(told, leases[-1])
                return found != "silent", ["a banner", json.dumps({"lease": found})]
            self.asked.append(words)
            if words[0] == "drain":
                return True, ["the idle slot is stopped"]
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
    assert host.asked[0][-2:] == ("--by", run.actor()), "whoever ran it"
    assert followed == ["shop"], "the team's commands too"
    assert watch.OPEN == {"shop": watch.WENT_BACK} and host.closed == 1 and lease.HEARTS == {}


@pytest.mark.parametrize(
    "leases", [(None,), ({"txn": "T2"},), ({"txn": "T1"}, None)], ids=["lease", "other", "meanwhile"]
)
def test_what_went_back_by_itself_or_by_a_person_is_said_so(
    monkeypatch: pytest.MonkeyPatch, leases: tuple[Any, ...]
) -> None:
    host = Host(monkeypatch, back=False, leases=leases)
    followed: list[str] = []
    monkeypatch.setattr(lease.commands, "follow", lambda system: followed.append(system) or [])
    lease.keep(host, plan(), "shop", "T1")
    host.connector.disconnect()
    assert watch.OPEN == {"shop": watch.WENT_BACK} and followed == ["shop"]
    assert host.asked[-1] == ("drain", "shop", "--now"), "what this run started since is stopped"
    rollbacks = [words for words in host.asked if words[0] == "rollback"]
    assert len(rollbacks) == (len(leases) > 1), "nothing of somebody else's is rolled back"


def test_a_coordinator_that_says_nothing_is_asked_to_go_back(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, back=False, leases=("silent",))
    lease.keep(host, plan(), "shop", "T1")
    host.connector.disconnect()
    assert [words[0] for words in host.asked] == ["rollback"] and watch.OPEN == {"shop": watch.BY_LEASE}


@pytest.mark.parametrize(
    "answers, asked, reasons",
    [([True], 1, 0), ([False, True], 2, 0), ([False] * 3, 3, 2)],
    ids=["ours", "busy", "lost"],
)
def test_nothing_goes_on_beside_what_came_back(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, answers: list[bool], asked: int, reasons: int
) -> None:
    seen: list[tuple[str, ...]] = []

    def ask(host: Any, *words: str, limit: int = 0) -> tuple[bool, list[str]]:
        seen.append(words)
        return answers[len(seen) - 1], ["no switch T1 waits to be confirmed: none is open"]

    monkeypatch.setattr(lease.lock, "ask", ask)
    flow.FAILURES.clear()
    assert not run(lease.still_ours, system="shop").failed and seen == [], "nothing is half-way"
    lease.KEPT["shop"] = object(), "T1"
    assert run(lease.still_ours, system="shop").failed is bool(reasons)
    assert seen == [("renew", "shop", "--txn", "T1")] * asked
    assert len(flow.FAILURES.get("@fake/one", [])) == reasons


def test_a_way_back_that_fails_is_left_to_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, back=False)
    lease.keep(host, plan(), "shop", "T1")
    host.connector.disconnect()
    assert watch.OPEN == {"shop": watch.BY_LEASE} and host.closed == 1


WEIGHT = {"percent": 25, "steps": [5, 25]}


@pytest.mark.parametrize(
    "told, asked, became",
    [
        ({"lease": None, "weight": WEIGHT}, [], watch.PAUSED),
        ({"lease": {"txn": "T2"}, "weight": WEIGHT}, [], watch.PAUSED),
        ({"lease": {"txn": "T1"}, "weight": WEIGHT}, ["rollback"], watch.BY_LEASE),
        ({"lease": None, "weight": None}, ["drain"], watch.WENT_BACK),
        (None, ["rollback"], watch.UNSAID),
    ],
    ids=["without a lease", "with somebody's", "ours", "gone", "silent"],
)
def test_a_run_that_ends_while_clients_stay_at_a_step_does_not_say_that_it_went_back(
    monkeypatch: pytest.MonkeyPatch, told: Any, asked: list[str], became: str
) -> None:
    """It was told to stop between the host command's answer and its own next line."""
    host = Host(monkeypatch)
    seen: list[str] = []

    def ask(_: Any, *words: str, limit: int = 0) -> tuple[bool, list[str]]:
        if words[0] == "status":
            return told is not None, [json.dumps(told)] if told else ["edge1 does not answer"]
        if words[0] != "weight":
            seen.append(words[0])
        return words[0] == "weight", []

    monkeypatch.setattr(lease.lock, "ask", ask)
    monkeypatch.setattr(lease.commands, "follow", lambda system: [])
    lease.keep(host, plan(), "shop", "T1")
    lease.let_go(host, "shop", "weight", "shop", "25", "--lease", "0")
    assert lease.HEARTS == {}
    host.connector.disconnect()
    assert (seen, watch.OPEN) == (asked, {"shop": became})


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
