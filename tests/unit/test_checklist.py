"""The checklist: each item is answered by what was seen, all that are not are named at once, and nothing is touched."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import checklist, fleet
from changeover.live import Live, Releases
from changeover.plan import Plan
from changeover.secrets import Mask, Secrets
from changeover.settings import Item
from operations import checklist as gone
from operations import flow, preflight, release
from operations import run as this_run

LIVE = Live(release=Releases(live="1.0.0"))
CANARY = "planted/canary"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(this_run, "_mask", Mask([CANARY]))
    monkeypatch.setattr(this_run, "_secrets", Secrets(tmp_path / "none", {"SCAN_KEY": CANARY}))
    monkeypatch.setattr(flow, "CHECKS", [])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", open("/dev/null"))
    flow.FAILURES.clear()


def plan(*items: dict[str, Any], answers: str | None = None, environment: str = "staging") -> Plan:
    hosts = good()
    on_all("shop.checklist", list(items))(hosts)
    on_all("release", "1.1.0")(hosts)
    on_all("fleet.environment", environment)(hosts)
    if answers:
        on_all("answers", answers)(hosts)
    return fleet.load(hosts)


def ask(run: Callable[..., Outcome], made: Plan, when: str = "before") -> Outcome:
    quiet = release.Quiet
    return run(gone.answered, plan=quiet(made), system="shop", live=quiet(LIVE), when=when)


# --- when a release may begin


@pytest.mark.parametrize(
    "span, moment, fits",
    [
        ("mon-thu 09:00-16:00", "2026-11-23T09:00", True),  # a Monday
        ("mon-thu 09:00-16:00", "2026-11-23T16:00", False),
        ("mon-thu 09:00-16:00", "2026-11-23T08:59", False),
        ("mon-thu 09:00-16:00", "2026-11-27T12:00", False),  # a Friday
        ("sun 00:00-24:00", "2026-11-22T23:59", True),
        ("fri-mon 12:00-13:00", "2026-11-22T12:30", True),  # over the week's end
        ("fri-mon 12:00-13:00", "2026-11-24T12:30", False),
        ("fri 22:00-06:00", "2026-11-28T05:59", True),  # the night after
        ("fri 22:00-06:00", "2026-11-27T05:59", False),  # the night before
        ("fri 22:00-06:00", "2026-11-27T22:00", True),
        ("sun 22:00-06:00", "2026-11-23T01:00", True),
    ],
)
def test_spans(span: str, moment: str, fits: bool) -> None:
    assert checklist.inside([span], datetime.fromisoformat(moment)) is fits


def test_a_window_is_in_its_own_zone() -> None:
    item = Item(name="off-peak", within=["sun 14:00-15:00"], zone="Europe/Berlin")
    seen = checklist.window(item, datetime(2026, 11, 22, 13, 30, tzinfo=UTC))
    assert seen.verdict == "pass" and seen.evidence == "sun 14:30 Europe/Berlin; allowed: sun 14:00-15:00"
    assert checklist.window(item, datetime(2026, 11, 22, 14, 30, tzinfo=UTC)).verdict == "fail"


# --- questions


def test_answers_in_a_file_are_known_by_the_whole_name() -> None:
    text = "# of dana\n\nback up: seen\nback up: off host: at 14:02, by dana\nbuck up: x\nrest:\n"
    found, wrong = checklist.answers(text, ["back up", "back up: off host", "rest"])
    assert found == {"back up": "seen", "back up: off host": "at 14:02, by dana"}
    assert wrong == ["line 5: no question 'buck up'; did you mean back up?", "line 6: rest: what was seen is missing"]


def test_without_a_terminal_a_question_refuses_with_the_way_on(run: Callable[..., Outcome]) -> None:
    done = ask(run, plan({"name": "told", "ask": "Who was told?", "source": "S1"}))
    assert done.failed
    first, last = flow.FAILURES["@fake/one"]
    assert first == (
        "told (S1): nobody answered 'Who was told?'; write a line `told: what was seen` to a file and give it: "
        "--data answers=FILE"
    )
    assert last == "nothing was touched" and flow.CHECKS[0].verdict == "fail"


def test_a_question_is_answered_by_a_file(run: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "said").write_text("told: all of support, by mail\n")
    assert not ask(run, plan({"name": "told", "ask": "Who was told?"}, answers="said")).failed
    assert flow.CHECKS[0].evidence.startswith("all of support, by mail (said, given by ")


@pytest.mark.parametrize("typed, fits", [("all of support\n", True), ("\n", False), ("", False)])
def test_a_question_at_the_terminal(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: str, fits: bool
) -> None:
    (tmp_path / "typed").write_text(typed)
    terminal = open(tmp_path / "typed")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", Terminal(terminal))
    monkeypatch.setattr(gone.select, "select", lambda read, *_: (read, [], []))
    assert ask(run, plan({"name": "told", "ask": "Who was told?"})).failed is not fits
    assert ("all of support" in flow.CHECKS[0].evidence) is fits


class Terminal:
    """Standard input as a terminal has it."""

    def __init__(self, file: Any):
        self.readline = file.readline

    def isatty(self) -> bool:
        return True


# --- programs, and all findings at once


def test_a_program_has_its_secret_and_its_last_line_is_the_evidence(run: Callable[..., Outcome]) -> None:
    script = 'echo "$RELEASE after $PREVIOUS"; echo "0 known, key $SCAN_KEY"'
    made = plan({"name": "scan", "program": {"run": ["sh", "-c", script], "secrets": ["SCAN_KEY"]}})
    assert ("shop", "SCAN_KEY") in made.secrets_wanted()
    assert not ask(run, made).failed
    assert flow.CHECKS[0].evidence.startswith("exit code 0: 0 known, key") and CANARY not in flow.CHECKS[0].evidence


def test_all_that_is_not_so_is_named_at_once_and_other_environments_items_are_left_out(
    run: Callable[..., Outcome],
) -> None:
    items = [
        {"name": "scan", "program": {"run": ["sh", "-c", "echo two holes; exit 3"]}},
        {"name": "told", "ask": "Who?"},
        {"name": "elsewhere", "ask": "Where?", "environment": "production"},
        {"name": "good", "program": {"run": ["true"]}},
        {"name": "later", "program": {"run": ["false"]}, "when": "after"},
    ]
    assert ask(run, plan(*items)).failed
    first, second, last = flow.FAILURES["@fake/one"]
    assert first == "scan (the team's own): exit code 3: two holes" and second.startswith("told") and "nothing" in last
    assert [check.verdict for check in flow.CHECKS] == ["fail", "fail", "pass"]


def test_what_fails_after_the_release_says_that_it_is_live(run: Callable[..., Outcome]) -> None:
    made = plan({"name": "later", "program": {"run": ["false"]}, "when": "after"})
    assert ask(run, made, "after").failed
    assert flow.FAILURES["@fake/one"][-1] == "1.1.0 is live and stays so; nothing was undone"


def test_a_program_that_is_not_here_is_found_before_anything_begins() -> None:
    from operations.integration import missing

    (line,) = missing(plan({"name": "scan", "program": {"run": ["no-such-program"]}}), "shop")
    assert line.startswith("shop.checklist.0.program.run: no program no-such-program on this machine")


# --- checks


def record(**more: Any) -> dict[str, Any]:
    systems = [{"name": "shop", "release": {"from": "1.0.0", "to": "1.1.0"}}]
    base = {"id": "R1", "environment": "staging", "outcome": "ok", "ended": "2026-11-22T10:00:00Z", "systems": systems}
    return base | {"probe": {"failed": 0, "sent": 90}} | more


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([record()], "pass"),
        ([record(outcome="rolled_back"), record(probe=None)], "pass"),
        ([], "fail"),
        ([record(environment="production")], "fail"),
        ([record(outcome="failed")], "fail"),
        ([record(systems=[{"name": "shop", "release": {"to": "1.1.1"}}])], "fail"),
        ([record(systems=[{"name": "other", "release": {"to": "1.1.0"}}])], "fail"),
    ],
)
def test_a_release_was_rehearsed_when_a_report_of_staging_says_so(found: list[dict[str, Any]], verdict: str) -> None:
    assert checklist.rehearsed(found, "shop", "1.1.0").verdict == verdict


def test_memory_speaks_of_the_fullest() -> None:
    seen = checklist.memory({"app1": ["a 12.5%", "b 34.01%"], "app2": ["c 89.99%", "warning"]})
    assert (seen.verdict, seen.evidence) == ("pass", "c on app2 uses 90 % of its limit, the most of 3")
    assert checklist.memory({"app1": ["a 90.00%"]}).verdict == "fail"
    assert checklist.memory({"app1": ["Cannot connect to the Docker daemon"]}).verdict == "fail", "nothing seen"


def test_logs_of_what_is_live() -> None:
    said = {"app1": {"api-green": "GET /errors 200\nall well", "api-blue": "ERROR old"}}
    assert checklist.logs(said, [("app1", "api-green")]).verdict == "pass", "a path, and the idle slot"
    bad = {"app1": {"api-green": "x\n2026 ERROR in worker"}}
    seen = checklist.logs(bad, [("app1", "api-green")])
    assert seen.verdict == "fail" and "the first of api-green on app1: 2026 ERROR in worker" in seen.evidence
    assert checklist.logs({}, [("app1", "api-green")]).verdict == "fail"


def test_healthy_is_each_container_at_its_release() -> None:
    container = {"healthy": True, "release": "1.1.0", "status": "Up"}
    wanted = {("app1", "api-green"): "1.1.0"}
    assert checklist.healthy({"app1": {"containers": {"api-green": container}}}, wanted).verdict == "pass"
    for other in ({**container, "release": "1.0.0"}, {**container, "healthy": False}, None):
        containers = {"api-green": other} if other else {}
        assert checklist.healthy({"app1": {"containers": containers}}, wanted).verdict == "fail"


def test_the_probe_by_its_own_limit() -> None:
    found = {"sent": 90, "failed": 1, "by_kind": {"ws": {"sent": 3, "failed": 0}}}
    assert checklist.probed(found, 0).verdict == "fail" and checklist.probed(found, 1).verdict == "pass"
    assert checklist.probed(found, 0, "ws").evidence == "0 of 3 failed (limit 0)"
    assert checklist.probed(None, 0).verdict == checklist.probed(found, 0, "get").verdict == "skipped"


def test_a_tag_and_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan()
    monkeypatch.setattr(gone.git_tag, "git", lambda *words: (0, "abc1234") if "shop-v1.1.0" in words[-1] else (1, ""))
    assert gone.tagged(made, "shop", LIVE, None).evidence == "shop-v1.1.0 is abc1234"
    monkeypatch.setattr(gone.git_tag, "git", lambda *words: (1, ""))
    assert gone.tagged(made, "shop", LIVE, None).verdict == "fail"
    monkeypatch.setattr(preflight, "TAGS", {"registry.test:5000/shop/api:1.1.0": "sha256:" + "a" * 64})
    says = "the registry has no image of 1.1.0 for clock, or does not say"
    assert gone.images(made, "shop", LIVE, None) == gone.Seen("fail", says)
    both = {f"registry.test:5000/shop/{name}:1.1.0": "sha256:" + "a" * 64 for name in ("api", "clock")}
    monkeypatch.setattr(preflight, "TAGS", both)
    found = gone.images(made, "shop", LIVE, None)
    assert found == gone.Seen("pass", "api sha256:aaaaaaaaaaaa, clock sha256:aaaaaaaaaaaa")
    monkeypatch.setattr(preflight, "TAGS", {})
    assert gone.images(made, "shop", Live(), None).verdict == "skipped", "a first installation has no engine to ask"


def test_earlier_records_are_read_newest_first_and_damaged_ones_passed_over(tmp_path: Path) -> None:
    for name in ("20261101T000000Z-1.0.0", "20261102T000000Z-1.1.0"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "record.json").write_text(json.dumps({"damaged": True}))
    assert list(gone._records()) == []


def test_every_check_of_the_settings_is_there() -> None:
    from changeover.settings_checklist import AFTER, BEFORE

    assert set(gone.CHECKS) == {*BEFORE, *AFTER}
