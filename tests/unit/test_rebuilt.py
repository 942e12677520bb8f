"""Reports made anew from the journal: of the real host command on hosts that are folders, and of a recorded one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import good

from changeover import __main__ as command_line
from changeover import fleet, report
from changeover import record as records
from changeover.rebuilt import NO_PROBE, NoRun, rebuild, way_back
from changeover.record import Record
from facts.journal import Said
from operations import command_line as command_line_
from operations import rebuild as rebuilding
from operations import run
from tests import records as samples
from tests.unit.hostcmd_support.world import World, folder, stand_in

RUN = "20261122T120000Z-aaaaaa"
STARTED = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """1.0.0 is live; the deploy of 1.1.0 has staged it and started its containers."""
    stand_in(monkeypatch)
    with folder() as base:
        world = World(base)
        world.install()
        world.ok(f"stage tasktracker --release 1.1.0 --txn {RUN} --by dana@laptop")
        world.deploy_containers("1.1.0", "green")
        yield world


def made(world: World, txn: str | None = None) -> Record:
    return rebuild(world.ok("status tasktracker"), world.ok("audit tasktracker"), txn)


def switch(world: World) -> None:
    world.ok(f"switch tasktracker --release 1.1.0 --lease 90 --txn {RUN} --by dana@laptop")


def test_a_run_that_died_before_the_switch(world: World) -> None:
    found = made(world)
    assert (found.outcome, found.actor, found.txn, found.started) == ("interrupted", "dana@laptop", RUN, STARTED)
    assert (found.release.from_, found.release.to) == ("1.0.0", "1.1.0")
    assert found.error and found.error.why == "it ended before the traffic moved; 1.0.0 serves as before"
    assert [step.name for step in found.steps] == ["1.1.0 takes the idle slots"] and found.moments == []


def test_a_run_that_died_in_the_soak_goes_back_by_itself(world: World) -> None:
    switch(world)
    found = made(world)
    assert found.outcome == "interrupted" and found.way_back is None
    assert found.error and found.error.why == "1.1.0 is not confirmed: it goes back by itself when its lease ends"
    assert [(one.kind, one.label) for one in found.moments] == [("switch", "traffic to 1.1.0")]


def test_a_run_that_died_in_the_soak_went_back_by_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    switch(world)
    monkeypatch.setattr("hostcmd.clock.left", lambda *_: 0.0)
    world.ok("recover tasktracker")
    found = made(world)
    assert found.outcome == "rolled_back"
    assert found.error and found.error.why == f"switch {RUN} was not confirmed within 90 s"
    assert [(step.name, step.undone) for step in found.steps] == [
        ("1.1.0 takes the idle slots", False),
        ("traffic goes to 1.1.0", True),
        ("1.0.0 is live again", False),
    ]
    assert [one.kind for one in found.moments] == ["switch", "back"]
    assert report.headline(found).startswith("tasktracker went back from 1.1.0 to 1.0.0 in staging, by dana@laptop")


def test_a_run_that_died_behind_its_confirmation_went_well(world: World) -> None:
    switch(world)
    world.ok(f"confirm tasktracker --txn {RUN} --by dana@laptop")
    found = made(world)
    assert found.outcome == "ok" and found.error is None
    assert found.way_back and found.way_back.command == "sudo changeover rollback tasktracker"
    world.ok("rollback tasktracker --why later")
    assert made(world).outcome == "ok" and made(world).way_back is None
    assert [step.phase for step in made(world).steps] == ["stage", "switch", "confirm"]


@pytest.mark.parametrize(
    "live, previous, there", [("1.1.0", "1.0.0", True), ("1.2.0", "1.0.0", False), ("1.1.0", None, False)]
)
def test_the_way_back_is_told_while_hosts_can_go_it(live: str, previous: str | None, there: bool) -> None:
    status = {"release": {"live": live, "previous": previous, "candidate": None}, "retired": None}
    assert bool(way_back("shop", status, records.Release(from_="1.0.0", to="1.1.0"))) is there


def test_a_person_who_went_back_is_named(world: World) -> None:
    switch(world)
    world.ok("rollback tasktracker --by oncall@app1")
    found = made(world)
    assert found.outcome == "rolled_back" and found.error and found.error.why == "oncall@app1 went back"


AGAIN = "20261122T130000Z-bbbbbb"  # a run that goes on from a step where RUN has paused


def weight(world: World, percent: int, lease: int = 90, txn: str = RUN, why: str = "") -> None:
    words = f"weight tasktracker {percent} --lease {lease} --txn {txn} --by dana@laptop"
    world.ok(f"{words} --why={why}" if why else words)


def labels(record: Record) -> list[str]:
    return [f"{one.kind}: {one.label}" for one in record.moments]


TO_25 = [f"step: {percent} % of the clients to 1.1.0" for percent in (5, 25)]


@pytest.mark.parametrize(
    "percent, stay, moves",
    [
        (25, "25 % of the clients", TO_25),
        (5, "5 % of the clients", [*TO_25, "step: another part of the clients to 1.1.0"]),
        (0, "only chosen clients", [*TO_25, "step: another part of the clients to 1.1.0"]),
    ],
)
def test_a_run_that_paused_at_a_step_needs_a_person(world: World, percent: int, stay: str, moves: list[str]) -> None:
    weight(world, 5)
    weight(world, 25)
    assert (made(world).outcome, labels(made(world))) == ("interrupted", TO_25)
    assert made(world).error and "goes back by itself when its lease ends" in made(world).model_dump_json()
    weight(world, percent, lease=0, why="gate_x")
    found = made(world)
    assert found.outcome == "needs_person" and labels(found) == moves
    assert found.error and found.error.why == f"paused at a step: {stay} stay on 1.1.0, and nobody watches it"
    assert [(step.name, step.undone) for step in found.steps][1:] == [("part of the clients is on 1.1.0", False)] * 3
    assert "stopped and needs a person" in report.headline(found)


def test_a_run_that_goes_on_from_a_pause_is_a_run_and_its_way_back_is_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight(world, 25)
    weight(world, 25, lease=0, why="gate_x")
    weight(world, 25, txn=AGAIN)
    weight(world, 50, txn=AGAIN)
    assert made(world).txn == AGAIN and labels(made(world)) == ["step: 50 % of the clients to 1.1.0"]
    before = made(world, RUN)
    assert before.outcome == "interrupted" and before.error
    assert before.error.why.startswith("part of the clients went to 1.1.0; what became of them")
    weight(world, 50, lease=0, txn=AGAIN, why="gate_y")
    assert (made(world).outcome, made(world, RUN).outcome) == ("needs_person", "interrupted"), "it is not its own"
    weight(world, 50, txn=AGAIN)
    monkeypatch.setattr("hostcmd.clock.left", lambda *_: 0.0)
    world.ok("recover tasktracker")
    found = made(world)
    assert found.txn == AGAIN and found.outcome == "rolled_back" and labels(found)[-1] == "back: back to 1.0.0"
    assert [step.undone for step in found.steps] == [True] * 4 + [False]
    assert made(world, RUN).outcome == "interrupted" and made(world, RUN).steps[-1].phase == "weight"


def test_a_first_installation_needs_no_confirmation(world: World) -> None:
    first = made(world, "first")
    assert (first.outcome, first.release.from_, first.release.to) == ("ok", None, "1.0.0")
    assert "tasktracker 1.0.0 was installed" in report.headline(first)


def test_another_run_is_not_mixed_in(world: World) -> None:
    world.ok("drain tasktracker --now")
    world.ok("stage tasktracker --release 1.2.0 --txn 20261122T130000Z-bbbbbb --by eve@desk")
    assert made(world).actor == "eve@desk" and made(world).release.to == "1.2.0"
    world.deploy_containers("1.2.0", "green")
    world.ok("switch tasktracker --release 1.2.0 --lease 90 --txn 20261122T130000Z-bbbbbb --by eve@desk")
    world.ok("rollback tasktracker --by eve@desk")
    assert made(world).outcome == "rolled_back"
    earlier = made(world, RUN)
    assert earlier.outcome == "interrupted"
    assert earlier.actor == "dana@laptop" and len(earlier.steps) == 1


def test_a_run_that_is_not_in_the_journal(world: World) -> None:
    with pytest.raises(NoRun, match=f"edge1: no run 20261122T120000Z-aaaaab in its journal.*; the last ones: .*{RUN}"):
        made(world, "20261122T120000Z-aaaaab")
    with pytest.raises(NoRun, match="no deploy is in its journal"):
        rebuild(world.ok("status tasktracker"), {"lines": [], "head": {"n": 0, "head": ""}})


def test_the_same_journal_gives_the_same_record(world: World) -> None:
    switch(world)
    assert made(world) == made(world)
    assert report.render(made(world)) == report.render(made(world))
    page = report.render(made(world))
    assert "Rebuilt from the journal of edge1" in page and NO_PROBE in page
    assert records.Record.model_validate_json(made(world).model_dump_json()) == made(world)


RECORDED = Path(__file__).parent / "journals"


@pytest.mark.parametrize("name", ["first"])
def test_journals_as_hosts_wrote_them(name: str) -> None:
    """From the rehearsal's hosts: what `changeover status` and `audit` said, and what the record must say."""
    said = json.loads((RECORDED / f"{name}.json").read_text())
    found = rebuild(said["status"], said["audit"], said["txn"])
    wanted = said["wanted"]
    assert {key: json.loads(found.model_dump_json())[key] for key in wanted} == wanted


# Where it is written, and what a person reads.


class Host:
    name = "edge1"

    def __init__(self, world: World) -> None:
        self.world = world

    def get_fact(self, fact: Any, verb: str, system: str) -> dict[str, Any] | None:
        assert fact is Said
        return self.world.type(f"{verb} {system}")[1]


@pytest.fixture
def here(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rebuilding, "host", Host(world))
    monkeypatch.setattr(run, "_mask", lambda text: text.replace("canary", "***"))
    return tmp_path / "reports"


def test_it_is_written_beside_the_others_and_says_which_run(world: World, here: Path, capsys) -> None:
    switch(world)
    rebuilding.rebuild(None, "tasktracker", None)
    assert "goes back by itself when its lease ends" in capsys.readouterr().err
    world.ok("rollback tasktracker --why=canary")
    rebuilding.rebuild(None, "tasktracker", None)
    page = here / "20261122T120000Z-1.1.0" / "index.html"
    said = capsys.readouterr().err
    assert f" run         {RUN}, from the journal of edge1" in said and " why         ***" in said
    assert " not known   what the prober saw: its file is not on this machine" in said
    assert "canary" not in page.read_text() + (page.parent / "record.json").read_text()
    assert (here / "latest").resolve() == page.parent and here.stat().st_mode & 0o777 == 0o700
    first = (page.read_bytes(), (page.parent / "record.json").read_bytes())
    rebuilding.rebuild(None, "tasktracker", None)
    assert (page.read_bytes(), (page.parent / "record.json").read_bytes()) == first
    assert len(list(here.iterdir())) == 2


def test_a_run_that_wrote_its_own_report_keeps_it(world: World, here: Path, capsys) -> None:
    own = samples.release(txn=RUN)
    page = report.publish(own, here)
    rebuilding.rebuild(None, "tasktracker", RUN)
    assert "the run wrote its own; nothing is rebuilt" in capsys.readouterr().err
    assert records.read(page.parent) == own and len(list(here.iterdir())) == 2


def test_what_the_prober_saw_is_used_where_it_is_here(world: World, here: Path) -> None:
    switch(world)
    here.mkdir()
    lines = [one.line() for one in samples.samples(200.0)]
    (here / f".probe-{RUN}-tasktracker.jsonl").write_text("\n".join(lines) + '\n{"t": "2026-11-2')
    for _ in range(2):
        rebuilding.rebuild(None, "tasktracker", RUN)
        found = records.read(here / "latest")
        assert found.probe and found.probe.sent == len(lines) and found.rebuilt
        assert NO_PROBE not in found.rebuilt.unknown
    assert (here / "latest" / "probe-tasktracker.jsonl").exists()


def test_a_newer_report_stays_the_latest(world: World, here: Path) -> None:
    newer = report.publish(samples.made(started=datetime(2026, 12, 1, tzinfo=UTC)), here)
    rebuilding.rebuild(None, "tasktracker", RUN)
    assert (here / "latest").resolve() == newer.parent and (here / "20261122T120000Z-1.1.0").is_dir()


@pytest.mark.parametrize(
    "said, why",
    [(None, "changeover does not answer there"), ({"error": "the chain is broken", "code": 6}, "the chain is broken")],
)
def test_a_host_that_refuses_or_is_mute_ends_it(here: Path, monkeypatch, capsys, said, why) -> None:
    monkeypatch.setattr(rebuilding.host, "get_fact", lambda *_, **__: said)
    with pytest.raises(SystemExit) as ended:
        rebuilding.rebuild(None, "tasktracker", None)
    assert ended.value.code == 1 and f"error  edge1: {why}" in capsys.readouterr().err
    assert not here.exists()


def test_without_the_coordinator_there_is_no_journal_and_that_is_said(monkeypatch) -> None:
    plan = fleet.load(good())
    refusal = "edge1: not reached, and only it has the journal of shop"
    for reached, said in ((["edge1", "app1"], ""), (["app1"], refusal)):
        active = SimpleNamespace(get_active_hosts=lambda names=reached: [SimpleNamespace(name=name) for name in names])
        monkeypatch.setattr(
            rebuilding, "ctx_state", SimpleNamespace(get=lambda active=active: SimpleNamespace(inventory=active))
        )
        lines = rebuilding.missed(plan, "shop")
        assert said in " ".join(lines) and bool(lines) == bool(said)
    words = {"operations": ["runbooks/rebuild_report.py"]}
    assert command_line_.reads(words) and not command_line_.reads({"operations": ["deploy.py"]})


def test_the_answer_of_the_command_is_read(world: World) -> None:
    text = json.dumps({"ok": True})
    assert Said().process(["a warning", text]) == {"ok": True}
    assert Said().process(["bash: changeover: not found"]) is None
    assert (
        Said().command(verb="audit", system="it's").startswith("/usr/local/bin/changeover audit 'it'\"'\"'s' --json ")
    )


def test_the_command_line_asks_the_runbook(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(command_line.subprocess, "call", lambda words: asked.append(words) or 7)
    assert command_line.main(["report", "inventories/prod.py", "--system", "shop", "--run", RUN]) == 7
    tail = [
        "inventories/prod.py",
        "runbooks/rebuild_report.py",
        "-y",
        "--data",
        'system="shop"',
        "--data",
        f'txn="{RUN}"',
    ]
    assert asked[0][1:] == ["-m", "pyinfra", *tail]
