"""Who is watched at a weighted step: both slots, as two clients; and which gates judge it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import good, on_all
from test_steps import LIVE, SECRETS, clean, plan  # noqa: F401  (clean is a fixture)

from changeover import early, fleet, gate_asks, probe
from changeover.standing import expected
from operations import gates, run, watch
from operations.gate_sources import Series

# --- who is watched


def test_both_slots_serve_at_a_step() -> None:
    slots = {name: {"live": "blue"} for name in ("api", "clock")}
    staged = ["api", "clock"]
    found = expected(plan(), "shop", slots, staged, (), True)
    assert set(found) == {
        ("app1", "api-blue"), ("app1", "api-green"), ("app2", "api-blue"), ("app2", "api-green"),
        ("app1", "clock-blue"),
    }  # fmt: skip
    assert ("app1", "api-green") not in expected(plan(), "shop", slots, staged)
    assert ("app1", "api-green") not in expected(plan(), "shop", slots, [], (), True)


def test_the_prober_is_the_first_client_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_secrets", SECRETS)
    token = early.signed("a secret of the tests", "shop", "qa")
    assert watch.clients(plan(), "shop") == {
        "first": {"cookie": f"changeover_step_shop=0; changeover_early_shop={token}"},
        "last": {"cookie": "changeover_step_shop=99"},
    }
    monkeypatch.setattr(run, "_secrets", None)
    assert watch.clients(plan(declared=[5]), "shop")["first"] == {"cookie": "changeover_step_shop=0"}
    made = watch.config(plan(declared=[]), "shop")
    assert made and made.clients == {}


def test_the_prober_outlives_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_secrets", SECRETS)
    short, long = (watch.config(plan(declared=declared), "shop") for declared in ([], [5, 50]))
    assert short and long and long.seconds - short.seconds == 2 * (300 + watch.TURN)


# --- which gates judge a step

LATE = {"name": "late", "source": {"probe": "p95"}, "value": 200, "every": "20s"}  # three looks: a minute
DEPTH = {"name": "depth", "source": {"cmd": ["x"], "service": "api"}, "value": 5}


def judging(own: list[Any] | None, wanted: list[str] | None = None, hold: str = "40s") -> list[str]:
    one = {"who": {"percent": 5}, "hold": hold, **({"gates": wanted} if wanted is not None else {})}
    hosts = good()
    on_all("shop.release", {"steps": [one], "soak": "2m"})(hosts)
    if own is not None:
        on_all("shop.gates", own)(hosts)
    made = fleet.load(hosts)
    return [gate.name for gate in gate_asks.gates(made, "shop", made.systems["shop"].release.steps[0])]


def test_a_step_is_judged_by_all_that_can_decide_in_its_time_or_by_those_it_names() -> None:
    assert judging([LATE, DEPTH]) == ["depth"]
    assert judging([LATE, DEPTH], hold="60s") == ["late", "depth"]
    assert judging([LATE, DEPTH], ["late"], "60s") == ["late"]
    assert judging([LATE, DEPTH], []) == []
    assert judging(None) == ["no_5xx", "p95"] and judging(None, ["p95"]) == ["p95"]
    assert judging([]) == []


def test_at_a_step_the_prober_counts_as_a_client_who_has_the_release(tmp_path: Path) -> None:
    def line(client: str | None, path: str) -> str:
        return probe.Sample("2026-01-01T00:00:00Z", "h1", "GET", path, 1.0, 200, client=client).line()

    file = tmp_path / "probe.jsonl"
    file.write_text("".join(f"{line(*one)}\n" for one in [("first", "/a"), ("last", "/b"), (None, "/ws")]))
    assert [one.path for one in Series(file, whole=True, client="first").within(60)] == ["/a", "/ws"]
    assert len(Series(file, whole=True).within(60)) == 3


def test_the_record_says_at_which_step_a_gate_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "LOOKING", {})
    monkeypatch.setattr(run, "_live", {"shop": LIVE})
    made = plan(declared=[25])
    state = SimpleNamespace(inventory=SimpleNamespace(get_host=str))
    gates.begin(made, "shop", state, made.systems["shop"].release.steps[0])
    gates.begin(made, "shop", state)
    assert [(one.system, one.name) for one in gates.records()] == [
        ("shop", "no_5xx, step 25 %"), ("shop", "p95, step 25 %"), ("shop", "no_5xx"), ("shop", "p95"),
    ]  # fmt: skip


def test_what_the_others_get_says_nothing_of_a_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The last client is on the release before: its errors are not the new one's, nor its good answers."""
    file = tmp_path / "probe.jsonl"
    monkeypatch.setattr(gates, "LOOKING", {})
    monkeypatch.setattr(run, "_live", {"shop": LIVE})
    monkeypatch.setattr(watch, "PROBERS", {"shop": SimpleNamespace(out=file)})
    made = plan(declared=[25])
    state = SimpleNamespace(inventory=SimpleNamespace(get_host=str))
    at_step = gates.begin(made, "shop", state, made.systems["shop"].release.steps[0])
    soak = gates.begin(made, "shop", state)
    sent = [("first", 200), ("first", 200), ("last", 500)]
    lines = [probe.Sample("2026-01-01T00:00:00Z", "h1", "GET", "/", 1.0, code, client=who).line() for who, code in sent]
    file.write_text("".join(f"{line}\n" for line in lines))
    counted = [(found.count, found.value) for one in (at_step, soak) for found in [one._measure(one.tallies[0].gate)]]
    assert counted == [(2, 0.0), (3, pytest.approx(100 / 3))]
