"""Killed at any write: the next call finishes what was committed and undoes what was not, on all hosts.

Each verb is killed in front of each of its writes in turn (a written line: in its middle), the peers it asks with it.
"""

import itertools
import os
import shutil

import pytest

from hostcmd import audit, records
from hostcmd.state import marks
from tests.unit.hostcmd_support.crash import type_and_crash
from tests.unit.hostcmd_support.world import GATEWAYS, HOSTS, SERVICES, TRAFFIC, World, folder, stand_in

# verb typed -> (how far the release is before, release that is live when it is committed, and when it is not)
TYPED = {
    "switch tasktracker --lease 1h --txn X": ("staged", "1.1.0", "1.0.0"),
    "confirm tasktracker --txn X": ("switched", "1.1.0", "1.1.0"),
    "rollback tasktracker --txn X": ("switched", "1.0.0", "1.1.0"),
    "rollback tasktracker --txn X --why cold": ("drained", "1.0.0", "1.1.0"),
    "stage tasktracker --release 1.1.0 --txn X": ("installed", "1.0.0", "1.0.0"),
    "drain tasktracker --txn X": ("confirmed", "1.1.0", "1.1.0"),
    "maintenance tasktracker on --txn X": ("installed", "1.0.0", "1.0.0"),
    "maintenance tasktracker off --txn X": ("in maintenance", "1.0.0", "1.0.0"),
}


@pytest.fixture(scope="module")
def templates():
    """The world at each point of a release."""
    with folder() as base, pytest.MonkeyPatch.context() as patch:
        stand_in(patch)
        world = World(base / "world")

        def keep(name):
            shutil.copytree(base / "world", base / name, symlinks=True)

        world.install()
        keep("installed")
        world.ok("maintenance tasktracker on --txn M")
        keep("in maintenance")
        world.ok("maintenance tasktracker off")
        world.stage("1.1.0", "green")
        keep("staged")
        world.ok("switch tasktracker --lease 1h --txn X")
        keep("switched")
        world.ok("confirm tasktracker --txn X")
        keep("confirmed")
        world.ok("drain tasktracker")
        keep("drained")
        yield base


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    stand_in(monkeypatch)


def fresh(templates, name):
    shutil.rmtree(templates / "world")
    shutil.copytree(templates / name, templates / "world", symlinks=True)
    return World(templates / "world")


def committed(world, verb):
    """Whether the journal of the dead process says so."""
    found = records.read(world.site().kept("journal.jsonl"))
    return any(r["kind"] == "commit" and r["note"]["txn"] == "X" and r["note"]["verb"] == verb for r in found)


def somebody_will_look(world):
    """What is left half-done, or waits to be confirmed, has an alarm of the host's own."""
    last = records.last(world.site().kept("journal.jsonl"))
    half_done = last["kind"] in ("begin", "commit") and last["tell"]
    now = world.state()
    assert world.timers() or not (half_done or now["lease"] or now["warm"]), (last, now)


def one_truth(world, live):
    """Everything agrees: state, gateways, containers, copies, audit; nothing is left half-done."""
    now = world.state()
    assert now["release"]["live"] == live
    assert now["pending"] == []
    wanted = marks(now, world.site().services)
    for gateway in GATEWAYS:
        assert world.serving(gateway) == wanted
        folder = world.root(gateway) / "srv/gateway/slots/tasktracker"
        assert os.readlink(folder / "live") == str(now["generation"])
        numbers = {path.name for path in folder.iterdir()} - {"live", "maintenance"}
        assert numbers == {str(n) for n in range(1, now["generation"] + 1)}
        assert (folder / "maintenance").exists() == bool(now["maintenance"])
    for service, hosts in SERVICES.items():
        slot = now["slots"][service]["live"]
        for host in hosts:
            running = [name for name in world.running(host) if name.startswith(service)]
            assert f"{service}-{slot}" in running
            if service not in TRAFFIC or now["retired"]:
                assert running == [f"{service}-{slot}"]
    for host in HOSTS:
        assert world.state(host)["release"]["live"] == live
    audit.verified(world.site())
    if now["lease"]:
        assert world.timers()


@pytest.mark.parametrize("line", TYPED)
def test_killed_at_each_write(templates, line):
    point, when_done, when_not = TYPED[line]
    verb = line.split()[0]
    for at in itertools.count(1):
        world = fresh(templates, point)
        if not type_and_crash(str(world.root("edge1")), line, at):
            break
        somebody_will_look(world)
        live = when_done if committed(world, verb) else when_not
        world.ok("recover tasktracker")
        one_truth(world, live)
        if at % 4 == 1:
            assert world.ok("recover tasktracker")["changed"] is False
            world.ok(line)  # the same once more converges
            one_truth(world, when_done)
    assert at > 10, "hardly anything was written: the fuse does not see the command's writes"
    print(f"{line}: {at - 1} places")


@pytest.mark.parametrize("line", ["switch tasktracker --lease 1h --txn X", "rollback tasktracker --txn X"])
def test_killed_again_while_it_is_put_right(templates, line):
    point, when_done, when_not = TYPED[line]
    verb = line.split()[0]
    for first in itertools.count(4, 17):
        world = fresh(templates, point)
        if not type_and_crash(str(world.root("edge1")), line, first):
            break
        live = when_done if committed(world, verb) else when_not
        shutil.rmtree(templates / "half", ignore_errors=True)
        shutil.copytree(templates / "world", templates / "half", symlinks=True)
        for second in itertools.count(1, 5):
            world = fresh(templates, "half")
            if not type_and_crash(str(world.root("edge1")), "recover tasktracker", second):
                break
            somebody_will_look(world)
            world.ok("recover tasktracker")
            one_truth(world, live)


def test_a_lease_that_runs_out_goes_back_wherever_it_is_killed(templates):
    for at in itertools.count(1):
        world = fresh(templates, "switched")
        world.reboot("edge1")
        if not type_and_crash(str(world.root("edge1")), "recover tasktracker", at):
            break
        world.ok("recover tasktracker")
        one_truth(world, "1.0.0")
        assert world.state()["held"] == {}
    assert at > 10
