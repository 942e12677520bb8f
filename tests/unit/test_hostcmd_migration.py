"""A way back of an open recreate while the schema is still being changed: waited for, and never beside it."""

import pytest

from hostcmd import migration
from tests.unit.hostcmd_support import fakes
from tests.unit.hostcmd_support.seen import OLD, SWITCH, later, pages, runs, watch_requests
from tests.unit.hostcmd_support.world import World, folder, stand_in

NAME = "srv-tasktracker-migrate"
OPEN = "switch tasktracker --open --lease 90 --txn T1"


@pytest.fixture
def world(monkeypatch):
    """Recreate is open for 1.1.0, and its migration runs on app1. Time passes only when somebody sleeps."""
    stand_in(monkeypatch)
    now = [1000.0]
    monkeypatch.setattr(migration.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(migration.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with folder() as base:
        made = World(base, "recreate")
        made.install()
        made.ok("stage tasktracker --release 1.1.0")
        made.deploy_containers("1.1.0", "green", starts=False)
        made.ok(OPEN)
        migrates(made)
        made.now = now
        yield made


def migrates(world, state="running"):
    found = fakes.engine(world.root("app1"))
    found["containers"][NAME] = {"state": state, "health": "none", "release": "1.1.0"}
    fakes.save(world.root("app1"), found)


def test_the_old_release_waits_until_the_migration_has_ended(world, monkeypatch):
    seen, ended = [], []

    def look(verb, host):
        seen.append((verb, NAME in str(fakes.engine(world.root("app1"))["containers"].get(NAME, {}))))
        if verb in ("start", "flip") and not ended:
            raise AssertionError(f"{verb} beside the migration")

    def sleep(seconds):
        world.now[0] += seconds
        if world.now[0] >= 1030 and not ended:
            ended.append(world.now[0])
            migrates(world, "exited")

    watch_requests(monkeypatch, look)
    monkeypatch.setattr(migration.time, "sleep", sleep)
    world.ok("rollback tasktracker")
    assert ended == [1030.0] and world.now[0] == 1030.0
    runs(world, OLD)
    assert pages(world) == [None, None]


def test_a_migration_that_does_not_end_keeps_the_page_and_says_so(world):
    code, said = world.type("rollback tasktracker --why slow")
    assert code == 3 and f"still runs on app1 ({NAME})" in said["error"]
    assert "1.0.0 comes back by itself" in said["error"]
    assert said["next"].startswith(f"on app1: docker logs {NAME}") and f"docker stop {NAME}" in said["next"]
    runs(world, {"app1": [], "app2": []})
    assert all(pages(world)) and any("--on-active=30" in alarm for alarm in world.timers())


def test_a_way_back_that_was_decided_cannot_be_overtaken_by_the_deploy(world):
    world.type("rollback tasktracker --why slow")
    assert world.type("renew tasktracker --txn T1")[0] == 3
    migrates(world, "exited")
    world.deploy_containers("1.1.0", "green", starts=False)
    code, said = world.type(SWITCH)
    assert code == 4 and "no release is staged" in said["error"]
    runs(world, OLD)
    now = world.state()
    assert now["release"]["live"] == "1.0.0" and now["held"] == {"1.1.0": "slow"}
    assert "slow" in world.ok("history tasktracker")["message"]


def test_the_alarm_tries_again_until_it_has_ended(world, monkeypatch):
    later(monkeypatch)
    code, said = world.type("recover tasktracker")
    assert code == 3 and "the maintenance page stays" in said["error"]
    runs(world, {"app1": [], "app2": []})
    assert any("--on-active=30" in alarm for alarm in world.timers())
    migrates(world, "exited")
    world.ok("recover tasktracker")
    runs(world, OLD)
    assert pages(world) == [None, None] and world.state()["held"] == {}


def test_one_that_was_about_to_begin_is_seen_before_the_old_release_starts(world, monkeypatch):
    migrates(world, "exited")
    watch_requests(monkeypatch, lambda verb, host: migrates(world) if verb == "stop" else None)
    code, said = world.type("rollback tasktracker")
    assert code == 3 and "the maintenance page stays" in said["error"] and "undone" in said["error"]
    runs(world, {"app1": [], "app2": []})
    assert all(pages(world))


def test_a_host_that_is_away_keeps_nobody_on_the_page(world):
    world.away("app1")
    world.ok("rollback tasktracker")
    runs(world, {"app2": OLD["app2"]})


def test_hosts_without_the_setting_go_back_as_before(world, monkeypatch):
    monkeypatch.setattr(migration, "_runs", lambda *_: pytest.fail("nobody is to be asked"))
    path = world.root("edge1") / "etc/changeover/tasktracker.json"
    path.write_text(path.read_text().replace('"migration"', '"another"'))
    world.ok("rollback tasktracker")
    runs(world, OLD)
