"""operations/run.py: a coordinator whose state is older than another host's is not taken at its word."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from plans import good

from changeover import fleet
from operations import run


class Hosts:
    """An inventory whose hosts answer with the state's number that is next in their list; the last one stays."""

    def __init__(self, **seqs: list[int]) -> None:
        self.seqs = seqs

    def get_host(self, name: str) -> Any:
        left = self.seqs.get(name, [1])

        def fact(*_: Any, **__: Any) -> str:
            return json.dumps({"schema": 1, "seq": left.pop(0) if len(left) > 1 else left[0]})

        return SimpleNamespace(get_fact=fact)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [0.0]
    monkeypatch.setattr(run, "_plan", fleet.load(good()))
    monkeypatch.setattr(run, "_live", {})
    fake = SimpleNamespace(monotonic=lambda: clock[0], sleep=lambda s: clock.__setitem__(0, clock[0] + s))
    monkeypatch.setattr(run, "time", fake)
    return clock


def strangers(monkeypatch: pytest.MonkeyPatch, **seqs: list[int]) -> list[str]:
    monkeypatch.setattr(run, "inventory", Hosts(**seqs))
    return run.stranger("shop")


def test_equal_states_ask_nothing_twice(monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> None:
    assert strangers(monkeypatch, edge1=[13], app1=[13], app2=[12]) == [] and slept == [0]


def test_a_change_that_the_hosts_make_meanwhile_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    assert strangers(monkeypatch, edge1=[13, 13, 14], app2=[14]) == [] and slept == [2]


def test_a_coordinator_that_stays_behind_is_refused_with_the_way_on(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    (line,) = strangers(monkeypatch, edge1=[13], app2=[14])
    assert "edge1: coordinates shop, but app2 knows a newer state (seq 14, here 13)" in line
    assert "from app2" in line and slept == [run.AT_WORK]
