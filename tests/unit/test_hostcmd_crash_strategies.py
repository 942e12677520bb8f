"""Recreate, rolling and weighted steps, killed at any write: what was committed is finished, the rest undone; the page
is where it must be, and what must not run beside each other does not."""

import itertools
import os
import shutil

import pytest

from hostcmd import audit, records, state
from hostcmd.state import containers, marks, page
from tests.unit.hostcmd_support.crash import type_and_crash
from tests.unit.hostcmd_support.world import GATEWAYS, HOSTS, SERVICES, World, folder, stand_in

OPEN = "switch tasktracker --open --lease 3600 --txn X"
SWITCH = "switch tasktracker --lease 3600 --txn X"
ROLL = "switch tasktracker --lease 3600 --txn X --host "
WEIGHT = "weight tasktracker {} --lease {} --txn X"
BACK = "rollback tasktracker --txn X"
# point of a release, what is typed, the verb in the journal, (live, half-way) when committed, and when not
TYPED = [
    ("made", OPEN, "open", ("1.0.0", True), ("1.0.0", False)),
    ("opened", SWITCH, "switch", ("1.1.0", False), ("1.0.0", True)),
    ("opened", BACK, "rollback", ("1.0.0", False), ("1.0.0", True)),
    ("recreated", BACK, "rollback", ("1.0.0", False), ("1.1.0", False)),
    ("staged", f"{ROLL}app1", "roll", ("1.0.0", True), ("1.0.0", False)),
    ("rolled", f"{ROLL}app2", "roll", ("1.0.0", True), ("1.0.0", True)),
    ("rolled", BACK, "rollback", ("1.0.0", False), ("1.0.0", True)),
    ("weighed from", WEIGHT.format(5, 3600), "weight", ("1.0.0", True), ("1.0.0", False)),
    ("at 25", WEIGHT.format(5, 0), "weight", ("1.0.0", True), ("1.0.0", True)),
    ("at 25", WEIGHT.format(25, 0), "weight", ("1.0.0", True), ("1.0.0", True)),
    ("paused", WEIGHT.format(25, 3600), "weight", ("1.0.0", True), ("1.0.0", True)),
    ("at 25", WEIGHT.format(100, 3600), "switch", ("1.1.0", False), ("1.0.0", True)),
    ("paused", BACK, "rollback", ("1.0.0", False), ("1.0.0", True)),
]


@pytest.fixture(scope="module")
def templates():
    """The worlds at each point of a release."""
    with folder() as base, pytest.MonkeyPatch.context() as patch:
        stand_in(patch)

        def keep(name):
            shutil.copytree(base / "world", base / name, symlinks=True)

        world = World(base / "world", "recreate")
        world.install()
        world.ok("stage tasktracker --release 1.1.0")
        world.deploy_containers("1.1.0", "green", starts=False)
        keep("made")
        world.ok(OPEN)
        world.deploy_containers("1.1.0", "green")
        keep("opened")
        world.ok(SWITCH)
        keep("recreated")
        shutil.rmtree(base / "world")
        world = World(base / "world", "rolling")
        world.install()
        world.stage("1.1.0", "green")
        keep("staged")
        world.ok(f"{ROLL}app1")
        keep("rolled")
        shutil.rmtree(base / "world")
        world = World(base / "world")
        world.install()
        world.stage("1.1.0", "green")
        keep("weighed from")
        for percent in (5, 25):
            world.ok(WEIGHT.format(percent, 3600))
        keep("at 25")
        world.ok(WEIGHT.format(25, 0))
        keep("paused")
        yield base


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    stand_in(monkeypatch)


def fresh(templates, name):
    shutil.rmtree(templates / "world")
    shutil.copytree(templates / name, templates / "world", symlinks=True)
    how = {"recreate": ("made", "opened", "recreated"), "rolling": ("staged", "rolled")}
    return World(templates / "world", next((one for one, names in how.items() if name in names), "blue_green"))


def committed(world, verb, after):
    """Whether the journal of the dead process says so, behind the change `after`."""
    found = [r for r in records.read(world.site().kept("journal.jsonl")) if r["n"] > after]
    return any(r["kind"] == "commit" and r["note"]["txn"] == "X" and r["note"]["verb"] == verb for r in found)


def one_truth(world, live, half_way):
    """Gateways, pages, containers, copies and audit are as the state says; somebody looks after what is half-way."""
    now, services = world.state(), world.site().services
    assert (now["release"]["live"], bool(state.half_way(now))) == (live, half_way)
    assert now["pending"] == []
    for gateway in GATEWAYS:
        assert world.serving(gateway) == marks(now, services)
        slots = world.root(gateway) / "srv/gateway/slots/tasktracker"
        assert os.readlink(slots / "live") == str(now["generation"])
        assert (slots / "maintenance").exists() == bool(page(now))
    for host in HOSTS:
        running = world.running(host)
        for what, name in containers(now, services, host, SERVICES):
            assert (name in running) == (what == "run"), (host, name, running)
        copy = world.state(host)
        keys = ("generation", "opened", "rolled", "weight")
        assert [copy[key] for key in keys] == [now[key] for key in keys] and bool(copy["lease"]) == bool(now["lease"])
    audit.verified(world.site())
    assert world.timers() or not now["lease"]


@pytest.mark.parametrize("point, line, verb, when_done, when_not", TYPED, ids=[f"{t[2]} when {t[0]}" for t in TYPED])
def test_killed_at_each_write(templates, point, line, verb, when_done, when_not):
    for at in itertools.count(1):
        world = fresh(templates, point)
        before = world.state()
        rolled, number, weight = len(before["rolled"]), before["seq"], before["weight"]
        if not type_and_crash(str(world.root("edge1")), line, at):
            break
        done = committed(world, verb, number)
        world.ok("recover tasktracker")
        one_truth(world, *(when_done if done else when_not))
        if verb == "roll":
            assert len(world.state()["rolled"]) == rolled + done
        if verb == "weight":
            percent, lease = line.split()[2::2][:2]
            wanted = int(percent) if done else (weight or {}).get("percent")
            assert (world.state()["weight"] or {}).get("percent") == wanted
            assert bool(world.state()["lease"]) == bool(int(lease) if done else before["lease"])
        if at % 8 == 1:
            assert world.ok("recover tasktracker")["changed"] is False
            world.ok(line)  # the same once more converges
            one_truth(world, *when_done)
    assert at > 10, "hardly anything was written: the fuse does not see the command's writes"


@pytest.mark.parametrize("point", ["opened", "recreated", "rolled", "at 25"])
def test_a_lease_that_runs_out_goes_back_wherever_it_is_killed(templates, point):
    for at in itertools.count(1, 5):
        world = fresh(templates, point)
        world.reboot("edge1")
        if not type_and_crash(str(world.root("edge1")), "recover tasktracker", at):
            break
        world.ok("recover tasktracker")
        one_truth(world, "1.0.0", False)
        assert world.state()["held"] == {}
    assert at > 10
