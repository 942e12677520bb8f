"""The terminal's frames: the plan before a run, a line a phase, and what is waited for."""

from __future__ import annotations

import io
import logging
import tomllib
from types import SimpleNamespace

import pyinfra
import pytest
from plans import good, on_all
from test_guards import ROOT

import changeover
import hostcmd
from changeover import fleet, terminal
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from changeover.terminal import Step
from operations import flow
from operations.terminal import HEARTBEAT, OWN, Frames, parts, shown

OLD = {name: SlotState(live="blue", blue="1.0.0") for name in ("api", "clock")}


def plan(**changes: str) -> Plan:
    hosts = good()
    for name, value in changes.items():
        on_all(name, value)(hosts)
    return fleet.load(hosts)


def live(**fields: object) -> Live:
    return Live(release=Releases(live="1.0.0"), slots=OLD).model_copy(update=fields)


def opening(state: Live, release: str = "1.0.0", width: int = 0, whole: bool = True) -> list[str]:
    states = {"shop": state, "hello": Live(release=Releases(live="1.26"))}
    to = {"shop": release, "hello": "1.26"}
    made = plan(release=release)
    return terminal.opening(made, states, to, 5, "me@here", whole, width)


def test_a_release_is_told_before_it_begins() -> None:
    assert opening(live(), "1.1.0") == [
        f"Changeover {changeover.VERSION}   shop 1.0.0 -> 1.1.0, hello 1.26   staging   5 hosts   by me@here",
        " plan           all hosts at once, blue -> green: api on app1 app2; clock on app1",
        "                schema: alembic in api's image, 10 m at most; no way back undoes it",
        "                watched for 30 s after the switch, then confirmed",
        "                prober: what is bad goes back 9 s at most after a request failed",
        "                gate no_5xx == 0 % (probe, every 5s); what is bad goes back after 31 s at most",
        "                gate p95 < 200 ms or 2 x the old slot's (probe, every 5s); "
        "what is bad goes back after 56 s at most",
        " if it fails    before it is confirmed: back by itself; 1 m 30 s at most when this machine is gone",
        "                after: sudo changeover rollback shop   (on any of its hosts; code only, loses nothing)",
    ]


def test_a_stream_that_is_gone_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was closed, a pipe whose reader has ended: what is not shown stops nothing."""
    own: list[str] = []

    class Own(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            own.append(record.getMessage())

    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError("nobody reads this")

    monkeypatch.setattr(pyinfra.logger, "handlers", [Own()])
    frames = Frames(None, io.StringIO())
    try:
        monkeypatch.setattr("operations.terminal.click.echo", gone)
        pyinfra.logger.warning("the lease was not renewed")
        assert frames.off and own and "nobody reads this" in own[0]
        pyinfra.logger.warning("and again")
        assert own[-1] == "and again", "from here on it is pyinfra's own"
    finally:
        frames.end()


def test_steps_are_told_and_who_stays_when_one_fails() -> None:
    wanted = [5, {"who": {"percent": 25}, "hold": "90s", "on_fail": "previous"}]
    made = plan(**{"release": "1.1.0", "shop.release": {"steps": wanted}})  # type: ignore[arg-type]
    told = terminal.opening(made, {"shop": live()}, {"shop": "1.1.0"}, 5, "me@here", True)
    assert "                clients in steps: 5 % for 5 m, 25 % for 1 m 30 s; then all" in told
    stays = " if it fails    at step 25 %: the clients of the step before stay on it, and nobody watches them"
    assert stays in told


@pytest.mark.parametrize("state", [live(), Live()])
def test_it_fits_into_a_terminal(state: Live) -> None:
    lines = opening(state, "1.1.0", width=80)
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(opening(state, "1.1.0")).split()), "nothing is lost"


def test_where_nothing_moves_nothing_is_said_of_a_way_back() -> None:
    lines = opening(live())
    assert lines[0].startswith(f"Changeover {changeover.VERSION}   shop 1.0.0, hello 1.26   staging")
    assert lines[1:] == [" plan           what is not as the settings say is put right; no release, no switch"]
    assert len(opening(live(), whole=False)) == 1
    bare = terminal.opening(plan(), {}, {"shop": "1.0.0"}, 1, "me@here", False)
    assert bare == [f"Changeover {changeover.VERSION}   staging   1 host   by me@here"], "nobody was asked what is live"


@pytest.mark.parametrize(
    "state, says",
    [
        (Live(), "shop 1.0.0 (first installation)"),
        (live(drifted=True), "shop 1.0.0 (new settings)"),
        (live(slots={"api": OLD["api"]}), "shop 1.0.0 (new: clock)"),
    ],
)
def test_what_else_may_move_is_named(state: Live, says: str) -> None:
    lines = opening(state)
    assert says in lines[0] and any(line.startswith(" if it fails ") for line in lines)


def test_a_first_installation_promises_no_way_back() -> None:
    lines = opening(Live())
    assert any("first installation, to blue: api on app1 app2; clock on app1" in line for line in lines)
    assert not any("rollback" in line for line in lines) and "no release before it" in lines[-1]


@pytest.mark.parametrize(
    "steps, text",
    [
        ([], ""),
        ([Step("the host is fit", same=["a", "b", "c", "d", "e"])], "the host is fit on 5 hosts"),
        ([Step("x: one", same=["a"]), Step("x: two", same=["a"])], "x: one; two on a"),
        ([Step("x: one", ["a"]), Step("y: two", ["a"])], "x: one; y: two on a"),
        ([Step("one", ["a"]), Step("two", [], ["a"]), Step("three", ["b"])], "one on a; three on b"),
        ([Step(str(n), same=["a"]) for n in range(3)], "3 steps on 1 host, nothing to change"),
        ([Step(str(n), ["a"]) for n in range(9)], "0; 1; 2 on a; and 6 more of 9 steps"),
        ([Step("one", ["a"]), Step("two", [], [], ["b", "c"])], "one on a; failed: two on b c"),
        ([Step("one", [], ["a"]), Step("two", [], ["a"], ["b"])], "failed: two on b"),
    ],
)
def test_what_a_phase_has_found(steps: list[Step], text: str) -> None:
    assert terminal.found(steps) == text


def test_seconds_are_at_the_right_and_long_texts_below_each_other() -> None:
    assert terminal.lines("lock", "it is ours", 0.52, 80) == [f"{' lock           it is ours':<75}0.5 s"]
    lines = terminal.lines("database", "word " * 40, 12.0, 80)
    assert len(lines) == 4 and max(map(len, lines)) <= 80 and lines[0].endswith("  12 s")
    assert terminal.lines("database", "word " * 40) == [f" database       {'word ' * 40}".rstrip()], "a log is searched"


@pytest.mark.parametrize(
    "limit, doing, text",
    [
        (600, "", "x: schema: 12 s of 10 m at most; waits for app1"),
        (None, "", "x: schema: 12 s; waits for app1"),
        (None, "18 s left", "x: schema: 12 s; 18 s left; waits for app1"),
    ],
)
def test_what_is_waited_for(limit: float | None, doing: str, text: str) -> None:
    assert terminal.waiting("x: schema", 12.3, limit, ["app1"], doing) == text


@pytest.mark.parametrize(
    "name, found",
    [
        ("phases/services.py | stack | shop: up", ("services", "shop: up", True)),
        ("runbooks/r.py | deploy.py | phases/services.py | stack | shop: up", ("services", "shop: up", True)),
        ("phases/services.py | all are here", ("services", "all are here", False)),
        ("stack | shop: up", ("stack", "shop: up", True)),
        ("all are here", (None, "all are here", False)),
    ],
)
def test_the_phase_of_a_step(name: str, found: tuple) -> None:
    assert parts(name) == found


@pytest.mark.parametrize(
    "level, file, function, is_shown",
    [
        (logging.INFO, "pyinfra/api/operations.py", "_run_host_op", False),
        (logging.INFO, "pyinfra/api/host.py", "connect", False),
        (logging.INFO, "pyinfra_cli/prints.py", "print_rows", False),
        (logging.INFO, "pyinfra/api/host.py", "log", True),  # host.log, host.log_styled
        (logging.WARNING, "pyinfra/api/operations.py", "_run_host_op", True),
        (logging.ERROR, "pyinfra/api/util.py", "print_host_combined_output", True),
        (logging.INFO, "../../elsewhere/operations/own.py", "anything", True),
    ],
)
def test_only_pyinfras_routine_is_left_out(level: int, file: str, function: str, is_shown: bool) -> None:
    record = logging.LogRecord("pyinfra", level, str(OWN / file), 1, "words", None, None, function)
    assert shown(record) == is_shown


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert changeover.VERSION == hostcmd.VERSION == project


def test_a_log_is_told_what_runs_after_a_while_of_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYINFRA_PROGRESS", "on")
    monkeypatch.setattr(flow, "LIMITS", {"shop: schema": 600.0})
    monkeypatch.setattr(flow, "DOING", {"shop": "half of it"})
    before = list(pyinfra.logger.handlers)
    frames = Frames(SimpleNamespace(op_meta={}, inventory=[]), io.StringIO())
    try:
        frames.opened, frames.phase, frames.step, frames.at_it = True, "database", "shop: schema", ["app1"]
        frames.since -= 25
        frames._look()
        assert capsys.readouterr().err == "", "something was said just now"
        frames.spoke -= HEARTBEAT
        frames._look()
        frames._look()
        said = " database       shop: schema: 25 s of 10 m at most; half of it; waits for app1\n"
        assert capsys.readouterr().err == said, "once"
        frames._done("app1")
        frames.idle -= 30
        frames.spoke -= HEARTBEAT
        frames._look()
        assert capsys.readouterr().err == f"{' ' * 16}what this run holds is given back: 30 s\n"
    finally:
        frames.end()
    assert pyinfra.logger.handlers == before and 15 <= HEARTBEAT <= 30


def test_a_phase_has_the_time_that_it_took(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first one has begun with the run: the hosts were looked at for it."""
    monkeypatch.setenv("PYINFRA_PROGRESS", "on")
    now = [0.0]
    monkeypatch.setattr("operations.terminal.time.monotonic", lambda: now[0])
    metas = {name: SimpleNamespace(names={f"phases/{name}.py | x | {name}: done"}) for name in ("one", "two")}
    frames = Frames(SimpleNamespace(op_meta=metas, inventory=[]), io.StringIO())
    frames.opened = True
    try:
        for name, begins, ends in (("one", 20.0, 30.0), ("two", 100.0, 107.0)):
            now[0] = begins
            frames.operation_start(frames.state, name)
            frames.steps[f"{name}: done"].same.append("app1")
            now[0] = ends
            frames.operation_end(frames.state, name)
        now[0] = 200.0
        frames.finish()
    finally:
        frames.end()
    assert [line.split()[-2:] for line in capsys.readouterr().err.splitlines()] == [["30", "s"], ["7.0", "s"]]
