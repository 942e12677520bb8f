"""A release goes live: what the host command is asked, in which order, and what becomes of it when something fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from hostcmd import options
from operations import flow, gates, lock, maintenance, release, watch
from operations.maintenance import said
from operations.release import Quiet

Run = Callable[..., Outcome]
LIVE = Live(
    generation=7,
    release=Releases(live="1.0.0"),
    slots={name: SlotState(live="blue", blue="1.0.0") for name in ("api", "clock")},
)
BINARY = "/usr/local/bin/changeover"


def plan(asked: str | None = "1.1.0") -> Plan:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "OPEN", {})
    monkeypatch.setattr(watch, "PROBERS", {})
    monkeypatch.setattr(gates, "LOOKING", {})
    monkeypatch.setattr(release.run, "actor", lambda: "me@here")
    flow.FAILURES.clear()
    yield


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """(operation, arguments) of what the deploys of release.py call."""
    seen: list[tuple[str, dict[str, Any]]] = []
    for name in ("asked", "staged", "switched", "watched", "confirmed"):
        monkeypatch.setattr(release, name, lambda _name=name, **words: seen.append((_name, words)))
    return seen


# --- the words


@pytest.mark.parametrize(
    "wanted, live, more",
    [
        ("1.1.0", LIVE, []),
        (None, LIVE.model_copy(update={"drifted": True}), ["--again"]),
        (None, LIVE.model_copy(update={"slots": {"api": LIVE.slots["api"]}}), ["--service", "clock"]),
        ("1.1.0", Live(), []),
    ],
    ids=["next release", "new settings", "a new service", "first installation"],
)
def test_what_is_staged(
    asked: list[tuple[str, dict[str, Any]]], wanted: str | None, live: Live, more: list[str]
) -> None:
    release.stage._inner(plan(wanted), "shop", live, "T1", "me@here")  # type: ignore[attr-defined]
    ((name, found),) = asked
    words = ["stage", "shop", "--release", wanted or "1.0.0", "--txn", "T1", "--by", "me@here"]
    assert (name, found["system"]) == ("staged", "shop")
    assert found["words"] == [*words, "--expect-generation", str(live.generation), *more]


def test_the_switch_has_the_lease_of_the_settings(asked: list[tuple[str, dict[str, Any]]]) -> None:
    release.switch._inner(plan(), "shop", LIVE, "T1", "me@here")  # type: ignore[attr-defined]
    ((name, found),) = asked
    assert (name, found["probed"]) == ("switched", True)
    assert found["words"] == ["switch", "shop", "--lease", "90", "--txn", "T1", "--by", "me@here"]


def test_a_first_installation_has_no_old_release_to_see_and_nothing_to_go_back_to(
    asked: list[tuple[str, dict[str, Any]]],
) -> None:
    release.switch._inner(plan(), "shop", Live(), "T1", "me@here")  # type: ignore[attr-defined]
    release.confirm._inner(plan(), "shop", Live(), "T1", "me@here")  # type: ignore[attr-defined]
    assert asked[0][1]["words"][2:4] == ["--lease", "0"]
    assert [(name, found.get("probed")) for name, found in asked] == [("switched", False), ("confirmed", None)]


def test_a_system_without_slots_is_replaced_in_place_and_no_lease_says_otherwise(
    asked: list[tuple[str, dict[str, Any]]],
) -> None:
    old = Live(generation=1, release=Releases(live="1.25"))
    release.switch._inner(plan(None), "hello", old, "T1", "me@here")  # type: ignore[attr-defined]
    release.confirm._inner(plan(None), "hello", old, "T1", "me@here")  # type: ignore[attr-defined]
    assert [(name, found.get("probed")) for name, found in asked] == [("switched", False), ("confirmed", None)]
    assert asked[0][1]["words"][2:4] == ["--lease", "0"]


def test_a_release_is_watched_and_then_confirmed(asked: list[tuple[str, dict[str, Any]]]) -> None:
    release.confirm._inner(plan(), "shop", LIVE, "T1", "me@here")  # type: ignore[attr-defined]
    assert [name for name, _ in asked] == ["watched", "confirmed"]
    assert asked[1][1]["words"] == ["confirm", "shop", "--txn", "T1", "--by", "me@here"]


def test_behind_a_persons_page_no_smoke_test_is_sent_and_that_is_said(
    asked: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(flow, "CHECKS", [])
    monkeypatch.setattr(maintenance, "said", lambda **words: asked.append(("said", words)))
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    on_all("shop.release", {"smoke": [{"name": "a write", "path": "/api/x"}]})(hosts)
    paged = LIVE.model_copy(update={"maintenance": {"why": "moving"}})
    release.confirm._inner(fleet.load(hosts), "shop", paged, "T1", "me@here")  # type: ignore[attr-defined]
    assert [name for name, _ in asked] == ["said", "watched", "confirmed"]
    words = {key: value for key, value in asked[0][1].items() if key != "name"}
    monkeypatch.undo()
    flow.CHECKS.clear()  # of other tests
    done = run(said, {}, **words)
    assert not done.failed and done.commands == []
    checks = [(one.item, one.verdict) for one in flow.CHECKS]
    flow.CHECKS.clear()
    assert checks == [("shop: smoke test: a write", "skipped"), ("shop: what users ask for is probed", "skipped")]


def test_the_host_command_knows_all_these_words(asked: list[tuple[str, dict[str, Any]]]) -> None:
    partly = LIVE.model_copy(update={"slots": {"api": LIVE.slots["api"]}})
    for live in (LIVE, partly, LIVE.model_copy(update={"drifted": True})):
        release.stage._inner(plan(None), "shop", live, "T1", "me@here")  # type: ignore[attr-defined]
        release.switch._inner(plan(None), "shop", live, "T1", "me@here")  # type: ignore[attr-defined]
        release.confirm._inner(plan(None), "shop", live, "T1", "me@here")  # type: ignore[attr-defined]
        release.roll_back._inner("shop", "me@here", "errors")  # type: ignore[attr-defined]
    words = [found["words"] for _, found in asked if "words" in found]
    words += [["renew", "shop", "--txn", "T1", "--json"]]
    words += [["rollback", "shop", "--why", "1 of 2 probes failed", "--by", "me@here"]]
    words += [["lock", "shop", "acquire", "--owner", "T1", "--reason", "a deploy", "--ttl", f"{lock.TTL}s"]]
    words += [["lock", "shop", "release", "--owner", "T1"], ["unhold", "shop", "1.1.0"]]
    verbs = {options.parser().parse_args(one).verb for one in words}
    assert verbs == {"stage", "switch", "confirm", "rollback", "renew", "lock", "unhold"}


# --- asked, switched, confirmed


def test_the_host_command_is_asked_and_its_words_are_quoted(run: Run) -> None:
    done = run(release.asked, {}, words=["rollback", "shop", "--why", "it's slow; $HOME"])
    assert [c.text for c in done.commands] == [f"""{BINARY} rollback shop --why 'it'"'"'s slow; $HOME'"""]
    assert done.changed


def test_what_the_host_command_says_is_what_a_person_reads(run: Run) -> None:
    says = {"success": False, "stderr": ["error: 1.1.0 is held: it lost rows", "next: changeover unhold shop 1.1.0"]}
    done = run(release.asked, {"changeover stage": says}, words=["stage", "shop", "--release", "1.1.0"])
    assert done.failed and "next: changeover unhold shop 1.1.0" in done.lines


SWITCH: dict[str, Any] = {"system": "shop", "txn": "T1", "words": ["switch", "shop", "--txn", "T1"]}


def switch(
    run: Run, responses: dict[str, Any] | None = None, probed: bool = True, recreated: bool = False
) -> Outcome:
    more = {"probed": probed, "recreated": recreated}
    return run(release.switched, responses or {}, plan=Quiet(plan()), **more, **SWITCH)


def test_the_prober_sees_the_old_release_before_the_switch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(watch, "start", lambda _, system, txn: order.append(f"{system} {txn} {watch.OPEN}"))
    done = switch(run)
    assert order == ["shop T1 {}"] and [c.text for c in done.commands] == [f"{BINARY} switch shop --txn T1"]
    assert watch.OPEN == {"shop": watch.BY_LEASE}, "not confirmed yet"


def test_nothing_is_switched_when_the_prober_cannot_see_it_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "start", lambda *_: "before the switch GET / fails already: 502")
    done = switch(run)
    assert done.failed and done.commands == [] and watch.OPEN == {}
    assert flow.FAILURES["@fake/one"] == ["before the switch GET / fails already: 502", "nothing was switched"]


def test_a_switch_that_fails_leaves_nothing_open(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "start", lambda *_: None)
    done = switch(run, {"changeover switch": {"success": False, "stderr": ["error: app2 does not answer"]}})
    assert done.failed and watch.OPEN == {}
    assert flow.FAILURES["@fake/one"] == ["error: app2 does not answer"]


def test_a_switch_of_which_nothing_is_heard_is_no_riddle(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator lost its power: what it began is undone when it is back, or goes back by its lease."""
    monkeypatch.setattr(watch, "start", lambda *_: None)
    done = switch(run, {"changeover switch": {"success": False}})
    assert done.failed and watch.OPEN == {"shop": watch.CUT_OFF}
    why, then = flow.FAILURES["@fake/one"]
    assert why.startswith("@fake/one did not say how the switch ended") and "changeover status shop" in then


def test_a_first_installation_is_switched_to_without_a_prober(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "start", lambda *_: pytest.fail("there is no release to see"))
    assert [c.text for c in switch(run, probed=False).commands] == [f"{BINARY} switch shop --txn T1"]
    assert watch.OPEN == {}, "it has no lease, so nothing goes back by itself"


@pytest.mark.parametrize("works", [True, False])
def test_a_switch_is_open_until_it_is_confirmed(run: Run, works: bool) -> None:
    watch.OPEN["shop"] = watch.BY_LEASE
    responses = {"changeover confirm": {"success": works}}
    done = run(release.confirmed, responses, system="shop", words=["confirm", "shop", "--txn", "T1"])
    assert done.failed is not works
    assert watch.OPEN == ({} if works else {"shop": watch.BY_LEASE})


# --- watched


def watched(run: Run, responses: dict[str, Any] | None = None) -> Outcome:
    watch.OPEN["shop"] = watch.BY_LEASE
    return run(release.watched, responses or {}, plan=Quiet(plan()), system="shop", txn="T1")


def soak(monkeypatch: pytest.MonkeyPatch, *reasons: str) -> None:
    """A soak that renews the lease once and gives these reasons."""

    def once(_: Plan, system: str, ask: watch.Ask, txn: str, gates: Any) -> list[str]:
        done, words = ask("renew", system, "--txn", txn)
        return list(reasons) if done else [f"the lease could not be renewed: {' '.join(words)}"]

    monkeypatch.setattr(watch, "soak", once)


def test_a_release_that_serves_is_left_where_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    soak(monkeypatch)
    done = watched(run)
    assert not done.failed
    assert [c.text for c in done.commands] == [f"{BINARY} renew shop --txn T1"]
    assert watch.OPEN == {"shop": watch.BY_LEASE}, "it is confirmed by the next step"


def test_a_release_that_fails_goes_back_at_once_with_the_reason(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    soak(monkeypatch, "2 of 9 probes failed (limit 0)", "first at 14:03")
    done = watched(run, {"changeover rollback": ["shop is back on 1.0.0"]})
    assert done.failed
    assert done.commands[1].text == f"{BINARY} rollback shop --why '2 of 9 probes failed (limit 0)' --by me@here"
    lines = ["2 of 9 probes failed (limit 0)", "first at 14:03", "shop is back on 1.0.0"]
    assert flow.FAILURES["@fake/one"] == lines
    assert watch.OPEN == {"shop": watch.WENT_BACK}


def test_a_way_back_that_fails_leaves_it_to_the_lease(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    soak(monkeypatch, "1 of 9 probes failed (limit 0)")
    done = watched(run, {"changeover rollback": {"success": False, "stderr": ["error: blue does not start"]}})
    assert done.failed and flow.FAILURES["@fake/one"][-1] == "error: blue does not start"
    assert watch.OPEN == {"shop": watch.BY_LEASE}


def test_a_lease_that_is_not_renewed_goes_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    soak(monkeypatch)
    done = watched(run, {"changeover renew": {"success": False, "stderr": ["error: no switch T1 is open"]}})
    assert done.failed and watch.OPEN == {"shop": watch.WENT_BACK}
    assert flow.FAILURES["@fake/one"] == ["the lease could not be renewed: error: no switch T1 is open"]


@pytest.mark.parametrize("error", [TimeoutError(), OSError("Socket is closed")])
def test_a_host_that_does_not_answer_is_a_reason_and_no_trace(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def silent(*_: Any, **arguments: Any) -> None:
        assert arguments["_timeout"], "a host that hangs is not waited for for ever"
        raise error

    soak(monkeypatch)
    monkeypatch.setattr("pyinfra.api.host.Host.run_shell_command", silent)
    done = watched(run)
    assert done.failed and watch.OPEN == {"shop": watch.BY_LEASE}
    assert len(flow.FAILURES["@fake/one"]) == 2
    assert all("@fake/one does not answer: " in line for line in flow.FAILURES["@fake/one"])


def test_the_plan_is_not_printed_with_the_operation() -> None:
    assert repr(Quiet(plan())) == "..."
