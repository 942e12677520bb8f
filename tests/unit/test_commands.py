"""operations/commands.py: a team's own commands as steps of a release, such as an upload of static files (S4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet
from changeover.plan import Plan
from changeover.secrets import Mask, Secrets
from operations import commands, flow, integration, release
from operations import run as this_run

CANARY = "planted/canary"
WAY = {"RELEASE": "1.1.0", "PREVIOUS": "1.0.0"}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = dict.fromkeys(("BUCKET_KEY", "POSTGRES_PASSWORD"), CANARY)
    monkeypatch.setattr(this_run, "_mask", Mask([CANARY]))
    monkeypatch.setattr(this_run, "_secrets", Secrets(tmp_path / "none", secrets))
    for name, value in {"CHECKS": [], "FILES": {}, "REPORT": [lambda: Path("reports/now")]}.items():
        monkeypatch.setattr(flow, name, value)
    monkeypatch.setenv("POSTGRES_PASSWORD", CANARY)
    monkeypatch.chdir(tmp_path)
    flow.FAILURES.clear()


def plan(script: str, when: str = "before", **more: Any) -> Plan:
    hosts = good()
    one = {"name": "static files", "when": when, "run": ["sh", "-c", script], "secrets": ["BUCKET_KEY"], **more}
    on_all("shop.release", {"commands": [one]})(hosts)
    return fleet.load(hosts)


def step(run: Callable[..., Outcome], script: str, when: str = "before", **more: Any) -> Outcome:
    made = plan(script, when, **more)
    (one,) = made.systems["shop"].release.commands
    hide = commands.hidden(made)
    return run(commands.ran, system="shop", number=0, one=one, given=WAY, hide=hide)


def test_it_gets_releases_and_its_own_secrets_and_the_record_says_so(run: Callable[..., Outcome]) -> None:
    script = 'test "$RELEASE $PREVIOUS $BUCKET_KEY $MORE" = "1.1.0 1.0.0 planted/canary x" && ! env | grep POST'
    done = step(run, script, env={"MORE": "x"})
    assert not done.failed, flow.FAILURES
    (check,) = flow.CHECKS
    assert (check.item, check.source, check.verdict) == ("shop: static files", "shop.release.commands.0", "pass")


@pytest.mark.parametrize(
    "when, last",
    [
        ("before", "nothing was switched; 1.0.0 serves as before"),
        ("after", "1.1.0 is live and stays so; when it is mended: cd . && env RELEASE=1.1.0 PREVIOUS=1.0.0 sh -c "),
    ],
)
def test_one_that_fails_stops_the_run_and_says_what_holds(run: Callable[..., Outcome], when: str, last: str) -> None:
    done = step(run, "echo no bucket for $BUCKET_KEY; exit 3", when)
    assert done.failed
    lines = flow.FAILURES["@fake/one"]
    assert lines[:2] == [
        "static files: ended with exit code 3 (shop.release.commands.0); the last lines:",
        "  no bucket for *MASKED*",
    ]
    assert lines[2] == "the whole output: reports/now/command-shop-0.txt" and lines[3].startswith(last)
    assert CANARY not in flow.FILES["command-shop-0.txt"].read_text() + str(flow.CHECKS)


def test_one_that_hangs_is_ended(run: Callable[..., Outcome]) -> None:
    assert step(run, "exec sleep 305", timeout="300ms").failed
    assert flow.FAILURES["@fake/one"][0].startswith("static files: took over 300ms (shop.release.commands.0)")


def test_its_secrets_and_its_program_are_looked_for_before_anything_is_touched() -> None:
    assert ("shop", "BUCKET_KEY") in plan("true").secrets_wanted()
    assert integration.missing(plan("true"), "shop") == []
    (line,) = integration.missing(plan("true", folder="nowhere"), "shop")
    assert line == "shop.release.commands.0.folder: no folder nowhere on this machine"


def test_after_a_way_back_the_ones_that_follow_run_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = plan('echo "$RELEASE after $PREVIOUS" > seen; exit 5', "after")
    host = type("Host", (), {"name": "edge1", "log_styled": lambda *_, **__: None})()
    monkeypatch.setattr(release.lock, "ask", lambda *_, **__: (True, ["shop is back on 1.0.0"]))
    monkeypatch.setattr(commands, "FOLLOW", {"shop": lambda: commands.after(made, "shop", "1.0.0", "1.1.0")})
    assert release.sent_back(host, "shop", ["2 of 9 probes failed"]) is False
    assert (tmp_path / "seen").read_text() == "1.0.0 after 1.1.0\n"
    assert flow.FAILURES["edge1"][2].startswith("static files: ended with exit code 5")
    assert commands.after(plan("exit 5", "before"), "shop", "1.0.0", "1.1.0") == []


def test_how_long_it_may_take_is_known_to_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "LIMITS", {})
    monkeypatch.setattr(commands, "ran", lambda **words: None)
    commands.steps(plan("true", timeout="90s"), "shop", "before", "1.1.0", "1.0.0")
    assert list(flow.LIMITS.values()) == [90.0] and all(name.startswith("shop: ") for name in flow.LIMITS)
