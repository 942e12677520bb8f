"""Maintenance, the deploy's lock, hold, history, logs, and verbs that are typed on another host."""

import pytest

from hostcmd import cli, clock, peer
from tests.unit.hostcmd_support.world import GATEWAYS, World, folder, stand_in


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        made = World(base)
        made.install()
        yield made


def text(world, line, host="edge1"):
    code, out, err = cli.captured(str(world.root(host)), line.split(), "dana@app1")
    assert code == 0, err
    return out


def page(world):
    return [(world.root(g) / "srv/gateway/slots/tasktracker/maintenance").exists() for g in GATEWAYS]


def test_maintenance_is_on_at_all_gateways_until_it_is_turned_off(world):
    world.ok("maintenance tasktracker on --why moving --until 18:00")
    assert page(world) == [True, True]
    assert world.ok("maintenance tasktracker on --why moving --until 18:00")["changed"] is False
    assert "moving, until 18:00" in world.ok("maintenance tasktracker status")["message"]
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --txn T1")
    assert page(world) == [True, True] and world.state()["maintenance"]["why"] == "moving"
    world.ok("maintenance tasktracker off")
    assert page(world) == [False, False]


def test_maintenance_touches_no_container(world):
    world.engine("app1", down=True)
    world.ok("maintenance tasktracker on")
    assert world.state()["pending"] == []


def test_the_lock_keeps_others_out_but_not_an_emergency(world):
    lock = world.ok("lock tasktracker acquire --owner D1 --reason deploy --ttl 60")["lock"]
    assert lock["fence"] == 1
    code, said = world.type("stage tasktracker --release 1.1.0")
    assert code == 3 and "locked by D1" in said["error"] and "deploy" in said["error"]
    assert world.type("lock tasktracker acquire --owner D2")[0] == 3
    world.ok("stage tasktracker --release 1.1.0 --owner D1 --fence 1")
    world.deploy_containers("1.1.0", "green")
    world.ok("switch tasktracker --txn D1")
    world.ok("rollback tasktracker --why slow")
    world.ok("maintenance tasktracker on")
    assert world.ok("status tasktracker")["lock"]["owner"] == "D1"
    world.ok("lock tasktracker renew --owner D1 --ttl 90")
    assert world.ok("lock tasktracker release --owner D1")["changed"] is True
    assert world.ok("lock tasktracker release --owner D1")["changed"] is False


def test_a_lock_without_a_heartbeat_expires_and_its_owner_is_told(world, monkeypatch):
    world.ok("lock tasktracker acquire --owner D1 --ttl 60")
    later = clock.boottime() + 61
    monkeypatch.setattr(clock, "boottime", lambda: later)
    assert world.ok("lock tasktracker acquire --owner D2")["lock"]["fence"] == 2
    code, said = world.type("stage tasktracker --release 1.1.0 --owner D1 --fence 1")
    assert code == 4 and "fence 1 is lost" in said["error"]
    assert world.type("lock tasktracker renew --owner D1")[0] == 4


def test_a_reboot_frees_the_lock_and_breaking_it_is_on_record(world):
    world.ok("lock tasktracker acquire --owner D1 --ttl 3600")
    world.ok("lock tasktracker break --why gone")
    assert world.ok("audit tasktracker")["lines"][-1]["verb"] == "lock break"
    world.ok("lock tasktracker acquire --owner D2 --ttl 3600")
    world.reboot()
    assert world.ok("lock tasktracker show")["lock"] is None


def test_held_releases_are_refused_until_allowed(world):
    world.ok("hold tasktracker 1.2.0 --why loses-events")
    assert world.ok("hold tasktracker 1.2.0 --why loses-events")["changed"] is False
    assert world.type("stage tasktracker --release 1.2.0")[0] == 1
    assert world.ok("unhold tasktracker 1.2.0")["changed"] is True
    assert world.ok("unhold tasktracker 1.2.0")["changed"] is False


def test_history_tells_releases_newest_first(world):
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --txn T1 --by dana")
    said = world.ok("history tasktracker")
    assert said["releases"] == ["1.1.0", "1.0.0"]
    assert "1.0.0 -> 1.1.0   done, by dana, T1" in said["message"]


def test_logs_come_from_every_host(world):
    said = world.ok("logs tasktracker api -n 3")
    assert said["logs"]["app2"] == {"api-blue": "a line of tasktracker-api-blue-1"}
    code, said = world.type("logs tasktracker nothing")
    assert code == 2 and "services: api, dashboard" in said["error"]


def test_a_verb_typed_on_any_host_is_carried_out_by_the_coordinator(world):
    world.stage("1.1.0", "green")
    assert world.ok("switch tasktracker --txn T1", host="app2")["generation"] == 2
    assert world.ok("status tasktracker", host="app1")["host"] == "edge1"
    world.ok("rollback tasktracker", host="edge2")
    assert world.ok("audit tasktracker", host="app1")["lines"][-1]["by"] == "tester"


def test_without_the_coordinator_status_is_a_copy_and_changes_are_refused(world):
    world.away("edge1")
    said = world.ok("status tasktracker", host="app1")
    assert (
        said["source"] == "copy" and said["release"]["live"] == "1.0.0" and "copy on app1" in said["message"]
    )
    code, said = world.type("rollback tasktracker", host="app1")
    assert code == 5 and "edge1" in said["error"]


def test_status_is_one_screen(world):
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --txn T1 --by dana")
    lines = text(world, "status tasktracker").splitlines()
    assert lines[0].startswith("tasktracker   live 1.1.0 since") and "previous 1.0.0 (blue, warm)" in lines[0]
    assert "  api         app1 green ready   app2 green ready" in lines
    assert any(line.startswith("goes back by itself in") for line in lines)
    assert lines[-1] == "to go back: changeover rollback tasktracker      (code only, about 1 s)"


@pytest.mark.parametrize(
    "request_",
    [
        {"verb": "shell", "system": "tasktracker"},
        {
            "verb": "start",
            "system": "tasktracker",
            "service": "api",
            "slot": "../x",
            "release": "1",
            "fresh": True,
        },
        {
            "verb": "start",
            "system": "tasktracker",
            "service": "postgres",
            "slot": "blue",
            "release": "1",
            "fresh": True,
        },
        {"verb": "run", "system": "tasktracker", "words": ["peer"], "by": "x"},
        {"verb": "look", "system": "../../etc"},
        {},
    ],
)
def test_a_peer_refuses_what_is_not_listed(world, request_):
    said = peer.answer(str(world.root("app1")), request_)
    assert said["ok"] is False and said["code"] == 2


def test_every_verb_has_help_with_an_example(capsys):
    from hostcmd import options

    for verb in options.VERBS:
        assert cli.main([verb, "--help"], "/nowhere") == 0
        assert f"changeover {verb} shop" in capsys.readouterr().out


def test_a_system_that_is_not_here_is_said_without_a_trace(world, capsys):
    assert cli.main(["status", "taskforge"], str(world.root("edge1"))) == 2
    assert "systems here: tasktracker" in capsys.readouterr().err


def test_hosts_that_disagree_about_the_coordinator_do_not_send_it_round(world):
    path = world.root("edge1") / "etc/changeover/tasktracker.json"
    path.write_text(path.read_text().replace('"coordinator": "edge1"', '"coordinator": "edge2"'))
    code, said = world.type("rollback tasktracker", host="edge2")
    assert code == 6 and "edge1 was asked as the coordinator, but its settings say edge2" in said["error"]


def test_a_fault_of_the_command_is_no_trace_on_the_screen(world, monkeypatch):
    monkeypatch.setattr("hostcmd.show.status", lambda *_: 1 / 0)
    code, said = world.type("status tasktracker")
    assert code == 6 and "ZeroDivisionError" in said["error"] and "recover tasktracker" in said["next"]
    assert "ZeroDivisionError" in (world.root("edge1") / "var/lib/changeover/trace.log").read_text()


def test_a_damaged_copy_on_another_host_is_mended_by_the_next_change(world):
    copy = world.root("app2") / "var/lib/changeover/tasktracker/state.json"
    copy.write_text("{")
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --txn T1")
    assert world.state("app2")["release"]["live"] == "1.1.0"
