"""What a run keeps of the time before it: asked only where something will be switched; moves noted as they are done."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import good, on_all

from changeover import fleet
from changeover.live import Live, Releases
from changeover.record_changes import Setting
from changeover.secrets import Secrets
from facts.before import Told
from operations import before, run
from operations.recorded import until
from operations.recorder import way_back


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """shop goes to 1.1.0, hello stays; (host, system) of each question."""
    seen: list[tuple[str, str]] = []

    def host(name: str) -> Any:
        def get_fact(_: Any, system: str, directory: str) -> Told:
            assert directory == f"/srv/{system}"
            seen.append((name, system))
            return Told(name, "", {})

        return SimpleNamespace(name=name, get_fact=get_fact)

    hosts = good()
    on_all("release", "1.1.0")(hosts)
    monkeypatch.setattr(run, "_plan", fleet.load(hosts))
    monkeypatch.setattr(
        run,
        "_live",
        {"shop": Live(release=Releases(live="1.0.0")), "hello": Live(release=Releases(live="1.26"))},
    )
    there = SimpleNamespace(get_active_hosts=lambda: [host(name) for name in ("app1", "data1")])
    monkeypatch.setattr(before, "ctx_state", SimpleNamespace(get=lambda: SimpleNamespace(inventory=there)))
    monkeypatch.setattr(before, "at_once", lambda hosts, ask: {name: ask(one) for name, one in hosts.items()})
    monkeypatch.setattr(before, "TOLD", {})
    monkeypatch.setattr(before, "MOMENTS", [])
    monkeypatch.setattr(before, "_looked", [])
    return seen


def test_only_what_will_be_switched_is_asked_and_once(asked: list[tuple[str, str]]) -> None:
    for _ in range(2):
        before.look(run.plan())
    assert asked == [("app1", "shop"), ("data1", "shop")]
    assert before.TOLD["shop", "data1"].compose == "data1"


def test_a_first_installation_and_a_plan_ask_nothing(asked: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_dry", True)
    before.look(run.plan())
    monkeypatch.setattr(run, "_dry", False)
    monkeypatch.setitem(run._live, "shop", Live())
    before.look(run.plan())
    assert asked == []


def test_a_move_is_noted_when_it_is_done_with_the_time_that_it_took(asked: list) -> None:
    assert before.forth("shop", lambda: (False, ["no"])) == (False, ["no"]) and before.moments() == []
    assert before.forth("shop", lambda: (True, ["yes"])) == (True, ["yes"])
    before.moved("shop", "step", "app1 serves it")
    before.moved("shop", "confirm")
    before.back("shop", lambda: (True, []))
    assert [(one.kind, one.label) for one in before.moments()] == [
        ("switch", "traffic to 1.1.0"),
        ("step", "app1 serves it"),
        ("confirm", "1.1.0 is confirmed"),
        ("back", "back to 1.0.0"),
    ]
    assert all(one.at <= one.until for one in before.moments())


def test_settings_that_changed_hold_no_secret(asked: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was written into a variable, by hand or by a release of before, is in what lies on the host."""
    row = Setting(where="api", key="environment.URL", before="http://u:canary@x", after="http://canary")
    stand_ins = {"before": ({}, {}), "drifted": [], "after": {}, "differences": [row], "command": []}
    for name, found in stand_ins.items():
        monkeypatch.setattr(before.differences, name, lambda *_, found=found: found)
    monkeypatch.setattr(before, "containers", lambda *_: [])
    monkeypatch.setattr(run, "_secrets", Secrets(Path("/nonexistent"), {}))
    monkeypatch.setattr(run, "_mask", lambda text: text.replace("canary", "***"))
    before.TOLD["shop", "app1"] = Told("", "", {})
    shown, _ = before.settings(run.plan(), "shop", run.live("shop"))
    assert shown == [row.model_copy(update={"before": "http://u:***@x", "after": "http://***"})]


def test_the_way_back_is_warm_from_the_confirmation_on(asked: list) -> None:
    before.moved("shop", "switch")
    before.moved("shop", "confirm")
    found = until(run.plan(), way_back(["shop"]), ["shop"])
    assert found and found.command == "sudo changeover rollback shop"
    assert found.warm_until == before.MOMENTS[1].until + timedelta(minutes=30)  # keep_warm
    assert found.takes == "about 1 s while the slot before is warm, then about 12 s"


def test_a_recreated_release_is_never_warm(asked: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.recorded.strategy", lambda *_: "recreate")
    before.moved("shop", "confirm")
    found = until(run.plan(), way_back(["shop"]), ["shop"])
    assert found and found.warm_until is None and "maintenance page" in found.takes
