"""The last lines of a run, and what its record says of the way back."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import good, on_all

from changeover import fleet, record
from changeover.live import Live, Releases
from operations import flow, gates, images, recorder, run, watch
from operations.recorder import after, gone_live, images_of, outcome, place, summary, way_back

PAGE = Path("reports/x/index.html")
START = datetime(2026, 11, 21, 14, 3, tzinfo=UTC)


def made(**fields: Any) -> record.Record:
    base: dict[str, Any] = dict(
        id="x",
        systems=[record.System(name="shop", release=record.Release(from_="1.0.0", to="1.1.0"))],
        environment="staging",
        actor="me@here",
        started=START,
        ended=START + timedelta(seconds=71),
        outcome="ok",
        changes={"app1": 3, "edge1": 2},
    )
    return record.Record(**{**base, **fields})


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {}
    monkeypatch.setattr(watch, "OPEN", found)
    monkeypatch.setattr(gates, "LOOKING", {})
    return found


@pytest.mark.parametrize(
    "failed, open_, ends",
    [
        (True, {}, "failed"),
        (False, {}, "interrupted"),
        (True, {"shop": watch.WENT_BACK}, "rolled_back"),
        (True, {"shop": watch.BY_LEASE}, "failed"),
        (False, {"shop": watch.BY_LEASE}, "interrupted"),
    ],
)
def test_how_a_run_ended(failed: bool, open_: dict[str, str], ends: str) -> None:
    assert outcome(failed, open_) == ends


def test_a_release_ends_with_its_probes_and_its_way_back() -> None:
    probe = record.Probe(file="probe-shop.jsonl", sent=420, failed=0)
    switch = record.Step(
        name="shop: traffic goes to 1.1.0", phase="switch", host="edge1", start=START, end=START + timedelta(seconds=3),
        outcome="changed",
    )  # fmt: skip
    back = way_back(["shop"]).model_copy(update={"takes": "about 1 s", "warm_until": START})  # type: ignore[union-attr]
    run_ = made(way_back=back, probe=probe, steps=[switch])
    assert summary(run_, PAGE) == [
        " done        shop 1.1.0 on staging: 5 changes on 2 hosts (71 s)",
        " released    shop 1.1.0 is live since 14:03:03 UTC (before it 1.0.0)",
        " probed      0 of 420 requests failed, from before the switch on",
        " report      reports/x/index.html",
        " way back    sudo changeover rollback shop   (code only, loses nothing; about 1 s; warm until 14:03 UTC)",
    ]
    same = [record.System(name="shop", release=record.Release(from_="1.1.0", to="1.1.0"))]
    assert gone_live(run_) and gone_live(run_.model_copy(update={"systems": same})) == [], "new settings are no release"


def test_an_outcome_is_told_in_words() -> None:
    error = record.Error(where="edge1: 1.1.0 is watched", why="2 of 9 probes failed", next="mend it")
    assert summary(made(outcome="rolled_back", error=error), PAGE)[0].startswith(" went back   shop 1.1.0 on staging")


def test_what_was_checked_is_counted() -> None:
    checks = [record.Check(item="a", source="s", verdict=one, evidence="e") for one in ("pass", "fail", "pass")]
    assert any(line.startswith(" checked     2 of 3 passed: ") for line in summary(made(checklist=checks), PAGE))


@pytest.mark.parametrize(
    "state, says",
    [
        (watch.WENT_BACK, "its traffic is on the release before"),
        (watch.BY_LEASE, "goes back by itself when its lease ends"),
    ],
)
def test_a_run_that_failed_says_what_becomes_of_its_switch(opened: dict[str, str], state: str, says: str) -> None:
    opened["shop"] = state
    error = record.Error(where="edge1: 1.1.0 is watched", why="2 of 9 probes failed\nfirst at 14:03", next="mend it")
    lines = summary(made(outcome="failed", error=error), PAGE)
    assert lines[1:6] == [
        " where       edge1: 1.1.0 is watched",
        " why         2 of 9 probes failed",
        "             first at 14:03",
        " next        mend it",
        f" undone      shop: {says}; see: sudo changeover status shop",
    ]


@pytest.mark.parametrize(
    "state, says",
    [
        (watch.PAUSED, " paused      shop: part of its clients stay on it; see: sudo changeover status shop"),
        (watch.UNSAID, f" unknown     shop: {watch.UNSAID}; see: sudo changeover status shop"),
    ],
)
def test_clients_who_stay_are_told_as_that(opened: dict[str, str], state: str, says: str) -> None:
    opened["shop"] = state
    error = record.Error(where="edge1: step 25 %", why="2 of 9 probes failed", next="mend it")
    assert outcome(True, opened) == "needs_person"
    assert summary(made(outcome="needs_person", error=error), PAGE)[4] == says


def test_what_to_run_next_is_the_same_run(opened: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its release a run that paused at a step would not go on: it is refused."""
    monkeypatch.setattr(run, "_mask", lambda text: text.replace("canary", "***"))
    made_: list[recorder.Recorder] = []
    state = SimpleNamespace(add_callback_handler=made_.append)
    monkeypatch.setattr(recorder.atexit, "register", lambda _: None)
    monkeypatch.setattr(flow, "REPORT", [])
    own = ("release=1.1.0", "why=it's late", "system=shop")
    hidden = ("ssh_password=hunter2", "_sudo_password=hunter2", "answers=canary.txt")
    params = {"inventory": "inventories/prod.py", "operations": ("deploy.py",), "data": (*own, *hidden)}
    recorder.start(state, params)
    recorder.start(state, {**params, "data": ()})
    command = "pyinfra inventories/prod.py deploy.py -y"
    data = """ --data release=1.1.0 --data 'why=it'"'"'s late' --data system=shop"""
    assert [one.command for one in made_] == [command + data, command]
    assert shlex.split(made_[0].command)[-4:] == ["--data", "why=it's late", "--data", "system=shop"]


def test_the_way_back_is_only_of_what_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """hello is replaced in place, and a first installation comes from nowhere: neither goes back by a command."""
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    monkeypatch.setattr(run, "_plan", fleet.load(hosts))
    monkeypatch.setattr(run, "_live", {"shop": Live(release=Releases(live="1.0.0")), "hello": Live()})
    assert run.moved() == ["shop"]
    monkeypatch.setattr(run, "_live", {"shop": Live(), "hello": Live(release=Releases(live="1.25"))})
    on_all("system", "hello")(hosts)
    monkeypatch.setattr(run, "_plan", fleet.load(hosts))
    assert run.moved() == [] and way_back([]) is None
    monkeypatch.setattr(run, "_live", {"shop": Live(release=Releases(live="1.1.0"))})
    assert run.moved() == []


@pytest.mark.parametrize(
    "name, found",
    [
        ("phases/services.py | stack | shop: layer 2 is up", ("services", "shop: layer 2 is up")),
        ("stack | shop: layer 2 is up", ("stack", "shop: layer 2 is up")),
        ("phases/services.py | layer 2 is healthy on all hosts", None),
        ("layer 2 is healthy on all hosts", None),
    ],
)
def test_a_step_is_of_its_phase_and_a_barrier_is_no_step(name, found):
    assert place(name) == found


def test_only_what_was_confirmed_is_recorded_as_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_live", {"shop": Live(release=Releases(live="1.0.0"))})
    monkeypatch.setattr(watch, "CONFIRMED", set())
    assert after({"shop": "1.1.0"}, done=True) == {"shop": "1.0.0"}, "a single phase brings nothing live"
    assert after({"shop": "1.1.0"}, done=False) == {"shop": "1.1.0"}, "what was asked for"
    monkeypatch.setattr(watch, "CONFIRMED", {"shop"})
    assert after({"shop": "1.1.0"}, done=True) == {"shop": "1.1.0"}


def test_a_phase_alone_says_no_release_that_is_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CONFIRMED", set())
    monkeypatch.setattr(run, "_live", {"shop": Live()})
    assert after({"shop": "1.0.0", "hello": "1.26"}, done=True) == {"shop": "none yet", "hello": "unknown"}
    lines = summary(made(systems=[record.System(name="shop", release=record.Release(from_=None, to="none yet"))]), PAGE)
    assert lines[0] == " done        shop none yet on staging: 5 changes on 2 hosts (71 s)"


def test_the_images_of_a_release_are_those_that_were_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    before, now = ({"1.1.0": {"api": f"x/api:1.1.0@sha256:{digit * 64}"}} for digit in "ab")
    monkeypatch.setattr(run, "_live", {"shop": Live(images=before)})
    monkeypatch.setattr(images, "RECORDED", {})
    assert images_of("shop", "1.1.0") == before["1.1.0"] and images_of("shop", "2") == images_of("hello", "1") == {}
    monkeypatch.setattr(images, "RECORDED", {"shop": now})
    assert images_of("shop", "1.1.0") == now["1.1.0"]


def test_all_findings_of_preflight_are_in_the_last_lines() -> None:
    why = "\n".join(f"app{number}: has no python3" for number in range(12))
    error = record.Error(where="app0, app1: the host is fit", why=why, next="mend each")
    assert sum("has no python3" in line for line in summary(made(outcome="refused", error=error), PAGE)) == 12
    assert sum("has no python3" in line for line in summary(made(outcome="failed", error=error), PAGE)) == 6


def test_a_note_is_said_again_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "NOTES", ["x/api:1.1.0 is another image now"])
    assert " note        x/api:1.1.0 is another image now" in summary(made(), PAGE)


def test_a_runbook_says_which_system_goes_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_instead", {})
    run.instead("shop", "1.0.0")
    assert run.concerned() == {"shop": "1.0.0"}
    assert after(run.concerned(), done=True) == {"shop": "1.0.0"}
