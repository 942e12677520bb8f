"""Rolling and recreate from the control side: who goes how, what is asked in which order, and what ends half-way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all

from changeover import fleet
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.strategy import strategy
from hostcmd import options
from operations import database, flow, lease, release, stack, strategies, watch
from operations.preflight import release_problems
from operations.release import Quiet

Run = Callable[..., Outcome]
BINARY = "/usr/local/bin/changeover"
SECRETS = Secrets(Path("/nonexistent"), {"POSTGRES_PASSWORD": "p", "SHOP_DB_PASSWORD": "s"})
SLOTS = {name: SlotState(live="blue", blue="1.0.0") for name in ("api", "clock")}
LIVE = Live(generation=7, release=Releases(live="1.0.0"), slots=SLOTS)


def plan(how: str, asked: str | None = "1.1.0", change: Callable[[Hosts], None] = lambda hosts: None) -> Plan:
    hosts = good()
    on_all("shop.release", {"strategy": how, "lease": "30s"})(hosts)
    if asked:
        on_all("release", asked)(hosts)
    change(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPEN", "PROBERS"):
        monkeypatch.setattr(watch, name, {})
    monkeypatch.setattr(watch, "SAID", [])
    monkeypatch.setattr(lease, "HEARTS", {})
    monkeypatch.setattr(lease, "KEPT", {})
    flow.FAILURES.clear()
    yield
    for system in list(lease.HEARTS):
        lease.rest(system)


# --- who goes how


@pytest.mark.parametrize("how", ["rolling", "recreate", "blue_green"])
@pytest.mark.parametrize(
    "asked, live, as_set",
    [
        ("1.1.0", LIVE, True),
        (None, LIVE.model_copy(update={"drifted": True}), True),
        (None, LIVE, False),
        ("1.1.0", Live(), False),
        (None, LIVE.model_copy(update={"slots": {"api": SLOTS["api"]}}), False),
    ],
    ids=["next release", "new settings", "nothing new", "first installation", "a new service"],
)
def test_only_what_is_replaced_goes_in_its_own_way(how: str, asked: str | None, live: Live, as_set: bool) -> None:
    assert strategy(plan(how, asked), "shop", live) == (how if as_set else "blue_green")


def test_hosts_take_turns_by_layer_and_then_as_they_are_listed() -> None:
    def change(hosts: Hosts) -> None:
        page = {"layer": 3, "on": "edge", "port": 1, "slots": {"blue": 18010, "green": 18011}, "health": {"http": "/"}}
        on_all("shop.services.page", page)(hosts)

    assert strategies.turns(plan("rolling", change=change), "shop") == ["app1", "app2", "edge1"]
    assert strategies.turns(plan("rolling"), "shop") == ["app1", "app2"]


@pytest.mark.parametrize(
    "how, made, started", [("rolling", ["api-green", "clock-green"], []), ("recreate", ["clock-green"], ["api-green"])]
)
def test_what_is_started_when_its_turn_comes_is_only_made_before(
    monkeypatch: pytest.MonkeyPatch, how: str, made: list[str], started: list[str]
) -> None:
    seen: dict[str, list[str]] = {"made": [], "up": []}
    checked: list[str] = []
    given: list[str] = []
    monkeypatch.setattr(stack, "given", lambda name, system: given.append(system))
    monkeypatch.setattr(stack.lease, "still_ours", lambda name, system: checked.append(system))
    monkeypatch.setattr(stack, "tree", lambda **_: None)
    monkeypatch.setattr(stack.compose, "made", lambda services, **_: seen["made"].extend(services))
    monkeypatch.setattr(stack.compose, "up", lambda services, **_: seen["up"].extend(services))
    monkeypatch.setattr(stack.ready, "answers", lambda **_: None)
    stack.layer._inner(plan(how), "shop", "app1", LIVE, SECRETS, 2)  # type: ignore[attr-defined]
    assert seen == {"made": made, "up": started}
    assert checked == ["shop"] * bool(started), "nothing starts beside an old release that came back"
    seen["up"].clear()
    stack.candidates._inner(plan(how), "shop", "app1", LIVE, SECRETS)  # type: ignore[attr-defined]
    assert seen["up"] == ["api-green"], "clock takes no traffic: the switch starts it"
    assert len(checked) == 1 + bool(started)
    seen["made"].clear()
    stack.made._inner(plan(how), "shop", "app1", LIVE, SECRETS)  # type: ignore[attr-defined]
    assert seen["made"] == ["api-green", "clock-green"]
    assert given == ["shop"] * 3, "layer, turn and replacement each ask whether this run gave the slots away"


def test_a_phase_alone_does_not_take_the_slot_of_the_release_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack.images, "RECORDED", {})
    done = run(stack.given, {}, system="shop")
    assert done.failed and done.commands == []
    fact, way = flow.FAILURES["@fake/one"]
    assert "has not staged" in fact and "deploy.py -y" in way
    flow.FAILURES.clear()
    monkeypatch.setattr(stack.images, "RECORDED", {"shop": {}})
    assert not run(stack.given, {}, system="shop").failed and flow.FAILURES == {}


@pytest.mark.parametrize("how", ["rolling", "recreate", "blue_green"])
def test_a_schema_is_not_changed_beside_an_old_release_that_came_back(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    done: list[str] = []
    monkeypatch.setattr(database, "files_of_containers", lambda *_: None)
    monkeypatch.setattr(database.lease, "still_ours", lambda name, system: done.append("asked"))
    monkeypatch.setattr(database, "given", lambda name, system: done.append("staged"))
    monkeypatch.setattr(database, "migrated", lambda **_: done.append("migrated"))
    database.migrate._inner(plan(how), "shop", "app1", LIVE, SECRETS)  # type: ignore[attr-defined]
    assert done == ["staged"] + ["asked"] * (how == "recreate") + ["migrated"]


@pytest.mark.parametrize("left", [{"opened": {"txn": "T"}}, {"rolled": ["app1"]}])
def test_a_switch_that_another_run_left_half_way_is_in_the_way(left: dict[str, Any]) -> None:
    state = LIVE.model_copy(update={**left, "release": Releases(live="1.0.0", candidate="1.1.0")})
    (problem,) = release_problems(plan("rolling"), {"shop": state})
    assert "the switch to 1.1.0 is half-way" in problem and "sudo changeover rollback shop" in problem
    assert release_problems(plan("rolling"), {"shop": LIVE}) == []


# --- what is asked


def words(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    seen: list[list[str]] = []
    for name in ("opened", "turned"):
        monkeypatch.setattr(strategies, name, lambda words, **_: seen.append(words))
    return seen


def test_the_host_command_knows_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = words(monkeypatch)
    strategies.open_._inner(plan("recreate"), "shop", LIVE, "T1", "me@here")  # type: ignore[attr-defined]
    strategies.turn._inner(plan("rolling"), "shop", LIVE, "T1", "me@here", "app1")  # type: ignore[attr-defined]
    common = ["switch", "shop", "--lease", "30", "--txn", "T1", "--by", "me@here"]
    assert seen == [[*common, "--open"], [*common, "--host", "app1"]]
    opened, turned = (options.parser().parse_args(one) for one in seen)
    assert opened.open and not opened.host and turned.host == "app1" and not turned.open


# --- opened


def opened(run: Run, responses: dict[str, Any] | None = None) -> Outcome:
    found = {"plan": Quiet(plan("recreate")), "system": "shop", "txn": "T1", "words": ["switch", "shop", "--open"]}
    return run(strategies.opened, responses or {}, **found)


class Prober:
    """Stands in for a prober: starts and stops are noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, reason: str | None = None, soak: list[str] | None = None):
        self.seen: list[str] = []

        def start(_: Plan, system: str, txn: str, when: str = "before") -> str | None:
            self.seen.append(f"start {when}")
            return reason

        monkeypatch.setattr(watch, "start", start)
        monkeypatch.setattr(watch, "stop", lambda system: self.seen.append("stop"))
        monkeypatch.setattr(watch, "soak", lambda *words: self.seen.append(f"soak {words[4]:g}") or (soak or []))


def test_what_is_opened_was_seen_to_answer_and_is_kept_alive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober(monkeypatch)
    kept: list[str] = []
    monkeypatch.setattr(lease, "keep", lambda host, plan, system, txn: kept.append(f"{system} {txn}"))
    done = opened(run)
    assert not done.failed and [c.text for c in done.commands] == [f"{BINARY} switch shop --open"]
    assert prober.seen == ["start before", "stop"] and kept == ["shop T1"]


def test_what_does_not_answer_is_not_stopped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Prober(monkeypatch, "before the switch GET / fails already: 502")
    done = opened(run)
    assert done.failed and done.commands == [] and watch.OPEN == {}
    assert flow.FAILURES["@fake/one"][-1] == "nothing was stopped"


def test_a_refusal_to_open_leaves_nothing_to_keep_alive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Prober(monkeypatch)
    done = opened(run, {"changeover switch": {"success": False, "stderr": ["error: edge2 does not answer"]}})
    assert done.failed and watch.OPEN == {} and lease.HEARTS == {}


# --- turned, and the switch at the end


def turned(run: Run, responses: dict[str, Any] | None = None) -> Outcome:
    found = {"plan": Quiet(plan("rolling")), "system": "shop", "txn": "T1", "words": ["switch", "shop", "--host"]}
    return run(strategies.turned, responses or {}, **found)


def test_after_each_host_it_is_watched_for_the_pause(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober(monkeypatch)
    monkeypatch.setattr(lease, "keep", lambda *_: prober.seen.append("kept"))
    assert not turned(run).failed
    assert prober.seen == ["start before", "kept", "soak 10"]
    watch.PROBERS["shop"] = object()  # type: ignore[assignment]
    prober.seen.clear()
    turned(run)
    assert prober.seen == ["kept", "soak 10"], "the prober runs on from the first host's turn"


def test_a_host_that_fails_sends_all_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Prober(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])
    monkeypatch.setattr("operations.run.actor", lambda: "me@here")
    monkeypatch.setattr(lease, "keep", lambda *_: None)
    done = turned(run, {"changeover rollback": ["shop is back on 1.0.0"]})
    assert done.failed and watch.OPEN == {"shop": watch.WENT_BACK}
    rollback = f"{BINARY} rollback shop --why '2 of 9 probes failed (limit 0)' --by me@here"
    assert [c.text for c in done.commands][:2] == [f"{BINARY} switch shop --host", rollback]
    assert flow.FAILURES["@fake/one"] == ["2 of 9 probes failed (limit 0)", "shop is back on 1.0.0"]


@pytest.mark.parametrize(
    "lease_of, became", [("T9", watch.WENT_BACK), (None, watch.WENT_BACK), ("mine", watch.BY_LEASE)]
)
def test_a_way_back_that_somebody_took_before_is_no_failed_one(
    run: Run, monkeypatch: pytest.MonkeyPatch, lease_of: str | None, became: str
) -> None:
    Prober(monkeypatch, soak=["the lease could not be renewed"])
    monkeypatch.setattr(lease, "keep", lambda *_: None)
    monkeypatch.setattr(release.run, "txn", lambda: "mine")
    said = json.dumps({"lease": lease_of and {"txn": lease_of}})
    refused = {"success": False, "stderr": ["error  nothing to go back to"]}
    turned(run, {"changeover rollback": refused, "changeover status": [said]})
    assert watch.OPEN == {"shop": became}


class Heart:
    """A heart that does nothing."""

    def kill(self) -> None:
        pass


@pytest.mark.parametrize("reason", [None, "after the switch GET / fails already: 500"])
def test_a_recreated_release_is_seen_first_after_its_switch(
    run: Run, monkeypatch: pytest.MonkeyPatch, reason: str | None
) -> None:
    prober = Prober(monkeypatch, reason)
    watch.OPEN["shop"] = watch.HALF_WAY
    found = {"plan": Quiet(plan("recreate")), "system": "shop", "txn": "T1", "probed": True, "recreated": True}
    says = "shop 1.1.0 has the traffic (before: 1.0.0); the maintenance page was on for 14.2 s"
    responses = {"changeover rollback": ["back"], "changeover switch": [says]}
    lease.HEARTS["shop"] = Heart()
    done = run(release.switched, responses, words=["switch", "shop"], **found)
    assert prober.seen == ["start after the switch"] and done.failed is bool(reason)
    assert watch.SAID == [says], "it is in the last lines of the run"
    assert lease.HEARTS == {}, "from here on only a soak that goes well renews the lease"
    assert watch.OPEN == {"shop": watch.WENT_BACK if reason else watch.BY_LEASE}


def test_a_recreate_that_is_not_switched_stays_open_until_the_run_ends(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    prober = Prober(monkeypatch)
    watch.OPEN["shop"] = watch.HALF_WAY
    found = {"plan": Quiet(plan("recreate")), "system": "shop", "txn": "T1", "probed": True, "recreated": True}
    responses = {"changeover switch": {"success": False, "stderr": ["error: api-green on app2 is not healthy"]}}
    done = run(release.switched, responses, words=["switch", "shop"], **found)
    assert done.failed and flow.FAILURES["@fake/one"] == ["error: api-green on app2 is not healthy"]
    assert watch.OPEN == {"shop": watch.HALF_WAY} and prober.seen == []
