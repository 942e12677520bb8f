"""Going back on a full disk, and with a damaged journal: it waits for no person."""

import errno
import os

import pytest

from hostcmd import durable
from tests.unit.hostcmd_support.world import GATEWAYS, World, folder, stand_in

BLUE = {"api": "blue", "dashboard": "blue"}


@pytest.fixture
def switched(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        world = World(base)
        world.install()
        world.stage("1.1.0", "green")
        world.ok("switch tasktracker --lease 90 --txn T1")
        yield world


def kept(world, name):
    return world.root("edge1") / "var/lib/changeover/tasktracker" / name


@pytest.fixture
def full(switched, monkeypatch):
    """Nothing more can be written, unless the room is given up."""
    write_all = durable.write_all

    def refuse(handle, data):
        if kept(switched, "room").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(handle, data)

    monkeypatch.setattr(durable, "write_all", refuse)
    return switched


def test_a_full_disk_is_said_with_its_host_and_the_way_on(full):
    code, said = full.type("confirm tasktracker --txn T1")
    assert code == 1 and "No space left on device" in said["error"]
    assert said["next"].startswith("make room on ") and said["next"].endswith("changeover recover tasktracker")


def test_traffic_goes_back_on_a_full_disk(full):
    full.ok("rollback tasktracker --why full")
    assert [full.serving(gateway) for gateway in GATEWAYS] == [BLUE, BLUE]
    assert kept(full, "room").stat().st_size == durable.ROOM
    assert full.state()["lease"] is None


def test_a_disk_that_is_full_before_has_no_room_and_no_debris(switched, monkeypatch):
    kept(switched, "room").unlink()
    monkeypatch.setattr(durable, "write_all", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    durable.keep_room(str(kept(switched, "room")))
    assert not kept(switched, "room").exists() and not kept(switched, "room.new").exists()


def test_a_damaged_journal_keeps_nobody_from_going_back(switched):
    journal = kept(switched, "journal.jsonl")
    journal.write_bytes(b"#" + journal.read_bytes()[1:])
    code, said = switched.type("confirm tasktracker --txn T1")
    assert code == 6 and "is damaged" in said["error"]
    switched.ok("rollback tasktracker --why damaged")
    assert [switched.serving(gateway) for gateway in GATEWAYS] == [BLUE, BLUE]
    assert list(journal.parent.glob("journal.jsonl.damaged-*"))
