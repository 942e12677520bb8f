"""Weighted steps from the control side: which are taken, what is asked, who is watched, and how one that fails ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all

from changeover import fleet
from changeover.live import Lease, Live, Releases, SlotState, Weight, parse
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.settings import Step
from changeover.strategy import steps, strategy
from hostcmd import options
from hostcmd import state as states
from operations import before, flow, gates, lease, lock, recorder, release, run, watch
from operations import steps as operations
from operations.preflight import release_problems
from operations.release import Quiet

Run = Callable[..., Outcome]
BINARY = "/usr/local/bin/changeover"
SLOTS = {name: SlotState(live="blue", blue="1.0.0", green="1.1.0") for name in ("api", "clock")}
LIVE = Live(generation=7, release=Releases(live="1.0.0"), slots=SLOTS)
PAUSED = LIVE.model_copy(
    update={"release": Releases(live="1.0.0", candidate="1.1.0"), "weight": Weight(percent=25)}
)
SECRETS = Secrets(Path("/nonexistent"), {"EARLY": "a secret of the tests", "SHOP_DB_PASSWORD": "s"})
DECLARED: list[Any] = [{"who": {"teams": ["qa"]}, "name": "our own"}, 5, 25, 50]


def plan(asked: str | None = "1.1.0", declared: list[Any] = DECLARED, **changes: Any) -> Plan:
    hosts: Hosts = good()
    on_all("shop.release", {"steps": declared, "early_secret": "EARLY", "lease": "30s", **changes})(hosts)
    if asked:
        on_all("release", asked)(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OPEN", "PROBERS"):
        monkeypatch.setattr(watch, name, {})
    monkeypatch.setattr(lease, "HEARTS", {})
    monkeypatch.setattr(lease, "KEPT", {})
    monkeypatch.setattr(lease, "LEASELESS", set())
    monkeypatch.setattr(run, "_live", {})
    monkeypatch.setattr(before, "MOMENTS", [])
    monkeypatch.setattr(run, "actor", lambda: "me@here")
    monkeypatch.setattr(release.run, "txn", lambda: "T1")
    flow.FAILURES.clear()
    yield
    for system in list(lease.HEARTS):
        lease.rest(system)


def percents(found: list[Step]) -> list[int]:
    return [step.who.percent for step in found]


# --- which steps


def test_short_and_long_steps_are_one_and_the_last_is_the_switch() -> None:
    declared = plan(declared=[5, "25", {"who": {"percent": 50}, "hold": "1h", "on_fail": "pause"}]).systems["shop"]
    found = declared.release.steps
    assert Step.model_validate({"who": {"teams": ["qa"]}}).label == "the chosen"
    assert percents(found) == [5, 25, 50, 100]
    assert [step.label for step in found] == ["5 %", "25 %", "50 %", "100 %"]
    assert (found[0].hold, found[0].on_fail, found[2].on_fail) == ("5m", "zero", "pause")
    assert percents(plan(declared=[5, 100]).systems["shop"].release.steps) == [5, 100]


@pytest.mark.parametrize(
    "live, wanted",
    [
        (LIVE, [0, 5, 25, 50]),
        (PAUSED, [25, 50]),
        (PAUSED.model_copy(update={"weight": Weight(percent=0)}), [0, 5, 25, 50]),
        (PAUSED.model_copy(update={"weight": Weight(percent=30)}), [50]),
        (Live(), []),
    ],
    ids=["a release", "paused", "paused at the chosen", "paused at a step of before", "a first installation"],
)
def test_a_paused_release_goes_on_from_its_step(live: Live, wanted: list[int]) -> None:
    assert percents(steps(plan(), "shop", live)) == wanted
    assert strategy(plan(), "shop", live) == "blue_green"


def test_what_changes_nothing_has_no_steps() -> None:
    assert steps(plan("1.0.0"), "shop", LIVE.model_copy(update={"slots": {
        name: SlotState(live="blue", blue="1.0.0") for name in SLOTS
    }})) == []  # fmt: skip
    assert percents(steps(plan(None), "shop", LIVE.model_copy(update={"drifted": True}))) == [0, 5, 25, 50]


# --- what is asked


def asked(monkeypatch: pytest.MonkeyPatch, live: Live = LIVE) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(operations, "weighed", lambda **given: seen.append(given))
    made = plan()
    for step in steps(made, "shop", live):
        operations.weigh._inner(made, "shop", live, "T1", "me@here", step.who.percent)  # type: ignore[attr-defined]
    return seen


def test_the_host_command_knows_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = asked(monkeypatch)
    assert seen[1]["words"] == ["weight", "shop", "5", "--lease", "30", "--txn", "T1", "--by", "me@here"]
    found = [options.parser().parse_args(one["words"]) for one in seen]
    assert [(one.verb, one.percent, one.lease) for one in found] == [("weight", n, 30.0) for n in (0, 5, 25, 50)]
    assert [one["name"] for one in seen[:2]] == [
        "shop: step our own: only chosen clients are on 1.1.0, for 5m",
        "shop: step 5 %: 5 % of the clients are on 1.1.0, for 5m",
    ]


class Watch:
    """Stands in for prober and soak: what was called is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soak: list[str] | None = None, reason: str | None = None):
        self.seen: list[str] = []

        def start(*_: Any) -> str | None:
            self.seen.append("start")
            return reason

        monkeypatch.setattr(gates, "start", start)
        monkeypatch.setattr(gates, "begin", lambda *words: contextlib.nullcontext(f"gates of {words[3].label}"))
        monkeypatch.setattr(watch, "soak", self.soak)
        self.reasons = soak or []
        monkeypatch.setattr(lease, "keep", lambda *_: self.seen.append("kept"))


    def soak(self, plan: Plan, system: str, ask: Any, txn: str, hold: float, looking: str) -> list[str]:
        self.seen.append(f"soak {hold:g}, {looking}")
        return self.reasons


def weighed(run: Run, step: Step, responses: dict[str, Any] | None = None, made: Plan | None = None) -> Outcome:
    words = ["weight", "shop", str(step.who.percent)]
    given = {"plan": Quiet(made or plan()), "system": "shop", "txn": "T1", "step": Quiet(step), "words": words}
    return run(operations.weighed, responses or {}, **given)


def step(percent: int, on_fail: str = "zero", hold: str = "40s") -> Step:
    return Step.model_validate({"who": {"percent": percent, "teams": ["qa"]}, "hold": hold, "on_fail": on_fail})


def test_a_step_is_seen_before_and_watched_for_its_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Watch(monkeypatch)
    done = weighed(run, step(5))
    assert not done.failed and seen.seen == ["start", "kept", "soak 40, gates of 5 %"]
    assert [one.text for one in done.commands] == [f"{BINARY} weight shop 5"]
    watch.PROBERS["shop"] = object()  # type: ignore[assignment]
    seen.seen.clear()
    weighed(run, step(25))
    assert seen.seen == ["kept", "soak 40, gates of 25 %"], "one prober sees all steps"


def test_what_does_not_answer_before_moves_nobody(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Watch(monkeypatch, reason="before the switch GET / fails already: 502")
    done = weighed(run, step(5))
    assert done.failed and done.commands == [] and watch.OPEN == {}
    assert flow.FAILURES["@fake/one"] == ["before the switch GET / fails already: 502", "nobody was moved"]
    monkeypatch.setattr(operations.run, "_live", {"shop": PAUSED})
    weighed(run, step(25))
    assert flow.FAILURES["@fake/one"][-1] == "to go back, on @fake/one: sudo changeover rollback shop"


# --- how one that fails ends


@pytest.mark.parametrize(
    "percent, on_fail, stays",
    [
        (25, "zero", None), (25, "previous", 5), (25, "pause", 25), (5, "previous", 0), (0, "previous", None),
        (0, "pause", 0),
    ],
)  # fmt: skip
def test_who_stays_when_a_step_fails(percent: int, on_fail: str, stays: int | None) -> None:
    assert operations.stays_at(plan(), "shop", step(percent, on_fail)) == stays


def test_zero_is_the_way_back_and_the_release_is_held(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Watch(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])
    done = weighed(run, step(25), {"changeover rollback": ["shop is back on 1.0.0"]})
    assert done.failed and watch.OPEN == {"shop": watch.WENT_BACK}
    rollback = f"{BINARY} rollback shop --why '2 of 9 probes failed (limit 0)' --by me@here"
    assert [one.text for one in done.commands][:2] == [f"{BINARY} weight shop 25", rollback]


@pytest.mark.parametrize("on_fail, percent", [("previous", 5), ("pause", 25)])
def test_who_stays_is_without_a_lease_and_a_person_is_told_both_ways(
    run: Run, monkeypatch: pytest.MonkeyPatch, on_fail: str, percent: int
) -> None:
    Watch(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])

    class Heart:
        def kill(self) -> None:
            pass

    lease.HEARTS["shop"] = Heart()
    says = f"{percent} % of the clients are on 1.1.0, the others on 1.0.0"
    down = f"weight shop {percent} --lease 0"
    done = weighed(run, step(25, on_fail), {f"changeover {down}": [says]})
    asked = f"{BINARY} {down} --txn T1 --why '2 of 9 probes failed (limit 0)' --by me@here"
    assert done.failed and [one.text for one in done.commands][1] == asked
    assert lease.HEARTS == {} and watch.OPEN == {"shop": watch.PAUSED}, "nothing renews it, nothing takes it back"
    assert flow.FAILURES["@fake/one"] == [
        "2 of 9 probes failed (limit 0)",
        f"step 25 % failed (on_fail: {on_fail}): {says}; it stays so, and nobody watches it",
        "to go on from this step: run the same deploy again",
        "to go back, on @fake/one: sudo changeover rollback shop",
    ]
    assert recorder.outcome(True, watch.OPEN) == "needs_person"


def test_where_it_cannot_stay_all_go_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Watch(monkeypatch, soak=["the lease could not be renewed"])
    refused = {"success": False, "stderr": ["error  no release is staged"]}
    responses = {"changeover weight shop 5": refused, "changeover rollback": ["shop is on 1.0.0 already"]}
    weighed(run, step(25, "previous"), responses)
    assert watch.OPEN == {"shop": watch.WENT_BACK}
    assert "error  no release is staged" in flow.FAILURES["@fake/one"]
    assert lease.LEASELESS == set(), "it was refused: it still has its lease"


def test_a_step_that_is_refused_is_not_watched(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Watch(monkeypatch)
    done = weighed(run, step(5), {"changeover weight": {"success": False, "stderr": ["error  edge2 is away"]}})
    assert done.failed and seen.seen == ["start"]


# --- what is in the way


def problems(live: Live, asked: str | None = "1.1.0") -> list[str]:
    return release_problems(plan(asked), {"shop": live})


def test_the_same_release_goes_on_and_no_other_one_begins() -> None:
    assert problems(PAUSED) == []
    for other in ("1.2.0", None):
        (line,) = problems(PAUSED, other)
        assert "a release to 1.1.0 is paused at 25 % of its clients" in line
        assert "--data release=1.1.0" in line and "sudo changeover rollback shop, on edge1" in line


def test_a_candidate_that_serves_is_not_made_anew() -> None:
    (line,) = problems(PAUSED.model_copy(update={"strayed": True}))
    assert "the settings have changed since" in line and "sudo changeover rollback shop" in line


def test_a_step_of_a_run_that_is_gone_is_waited_for() -> None:
    gone = PAUSED.model_copy(update={"lease": Lease(txn="T9", seconds=30)})
    (line,) = problems(gone)
    assert "the switch to 1.1.0 is half-way; wait until its lease ends" in line
    (first, _) = lock.unsettled("shop", 7, gone, "edge1")
    assert "the switch to 1.1.0 by T9 is not confirmed yet" in first


def test_the_state_of_the_hosts_is_read() -> None:
    text = states.dump({**states.EMPTY, "weight": {"percent": 25, "steps": [5, 25]}})
    assert parse(text).weight == Weight(percent=25)
    assert parse(states.dump(states.EMPTY)).weight is None
