"""Hosts that are away, engines that are down, leases that run out, files that are damaged, two at once."""

import fcntl
import json
import os

import pytest

from hostcmd import audit, clock, peer, records, timers
from tests.unit.hostcmd_support.world import GATEWAYS, World, folder, stand_in

BLUE = {"api": "blue", "dashboard": "blue"}
GREEN = {"api": "green", "dashboard": "green"}


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        made = World(base)
        made.install()
        made.stage("1.1.0", "green")
        yield made


@pytest.fixture
def switched(world):
    world.ok("switch tasktracker --lease 90 --txn T1")
    return world


def all_serve(world, wanted):
    assert [world.serving(gateway) for gateway in GATEWAYS] == [wanted, wanted]


@pytest.mark.parametrize("host", ["app2", "edge2"])
def test_a_host_that_is_away_keeps_the_switch_from_beginning(world, host):
    world.away(host)
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert code == 5 and host in said["error"] and "nothing was touched" in said["error"]
    assert said["next"].startswith("on edge1: sudo ssh")
    world.away(host, False)
    all_serve(world, BLUE)


def test_a_gateway_without_services_that_is_away_has_the_switch_undone(world):
    for name in ("edge1", "edge2", "app1", "app2"):  # the dashboard is on edge1 only
        path = world.root(name) / "etc/changeover/tasktracker.json"
        path.write_text(path.read_text().replace('"hosts": ["edge1", "edge2"]', '"hosts": ["edge1"]'))
    world.away("edge2")
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert code == 5 and "edge2" in said["error"] and "undone" in said["error"]
    assert world.running("app2") == ["api-blue", "api-green", "worker-blue"]
    assert world.serving("edge1") == BLUE and world.timers()
    world.away("edge2", False)
    assert "edge2 was told" in world.ok("recover tasktracker")["message"]
    world.ok("switch tasktracker --lease 90 --txn T1")
    all_serve(world, GREEN)


def test_rollback_does_not_wait_for_hosts_that_are_away(switched):
    switched.away("app2")
    switched.away("edge2")
    said = switched.ok("rollback tasktracker")
    assert switched.serving("edge1") == BLUE
    assert {debt["host"] for debt in said["pending"]} == {"app2", "edge2"}
    assert switched.running("app2") == ["api-blue", "api-green", "worker-green"]
    assert any("--on-active=30" in alarm for alarm in switched.timers())
    switched.ok("recover tasktracker")
    assert "api-green" in switched.running("app1"), "a gateway that was not told may still send users there"
    switched.away("app2", False)
    switched.away("edge2", False)
    switched.ok("recover tasktracker")
    all_serve(switched, BLUE)
    assert switched.running("app2") == ["api-blue", "worker-blue"]
    assert switched.state()["pending"] == []


def test_the_idle_slot_is_not_given_away_while_a_gateway_may_still_use_it(switched):
    switched.away("edge2")
    switched.ok("rollback tasktracker --no-hold")
    for words in ("stage tasktracker --release 1.2.0", "drain tasktracker"):
        code, said = switched.type(words)
        assert code == 5 and "edge2 was not told where traffic goes" in said["error"]
        assert "take it out of the inventory" in said["next"]
    assert "api-green" in switched.running("app1")
    switched.away("edge2", False)
    switched.ok("stage tasktracker --release 1.2.0")
    assert switched.serving("edge2") == BLUE and switched.state()["pending"] == []


def test_a_gateway_that_comes_back_asks_the_coordinator(switched):
    switched.away("edge2")
    switched.ok("rollback tasktracker")
    assert switched.serving("edge2") == GREEN
    switched.away("edge2", False)
    assert switched.ok("recover tasktracker --gateway", host="edge2")["changed"] is True
    all_serve(switched, BLUE)
    switched.ok("recover tasktracker", host="edge2")
    assert switched.state()["pending"] == [] and switched.state("edge2")["release"]["live"] == "1.0.0"


def test_a_gateway_alone_serves_its_last_generation(switched):
    switched.away("edge1")
    code, said = switched.type("recover tasktracker", host="edge2")
    assert code == 5 and "edge2 serves its last generation 2" in said["error"]


def test_rollback_with_the_engine_down_on_an_app_host(switched):
    switched.engine("app2", down=True)
    switched.ok("rollback tasktracker")
    all_serve(switched, BLUE)
    switched.engine("app2", down=False)
    switched.ok("recover tasktracker")
    assert switched.running("app2") == ["api-blue", "worker-blue"], "what was left had its time, and is stopped"


def test_a_stopped_slot_on_hosts_that_are_away_is_no_way_back(switched):
    switched.ok("confirm tasktracker --txn T1")
    switched.ok("drain tasktracker")
    switched.away("app1")
    switched.away("app2")
    code, said = switched.type("rollback tasktracker")
    assert code == 5 and "stopped" in said["error"]
    all_serve(switched, GREEN)


def test_one_ready_host_is_enough_to_go_back(switched):
    switched.ok("confirm tasktracker --txn T1")
    switched.ok("drain tasktracker")
    switched.engine("app2", sick=["tasktracker-api-blue-1"])
    switched.ok("rollback tasktracker")
    all_serve(switched, BLUE)


def test_a_lease_runs_out_by_the_boot_clock(switched, monkeypatch):
    switched.ok("renew tasktracker --txn T1")
    assert switched.ok("recover tasktracker")["changed"] is False
    later = clock.boottime() + 91
    monkeypatch.setattr(clock, "boottime", lambda: later)
    code, said = switched.type("renew tasktracker --txn T1")
    assert code == 4 and "went back to 1.0.0" in said["error"]
    all_serve(switched, BLUE)
    assert switched.state()["held"] == {}
    switched.stage("1.1.0", "green")
    switched.ok("switch tasktracker --lease 90 --txn T2")


def test_another_boot_ends_the_lease_and_a_clock_does_not(switched, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert switched.ok("recover tasktracker")["changed"] is False
    switched.reboot()
    assert "went back" in switched.ok("recover --all")["message"]
    all_serve(switched, BLUE)
    code, said = switched.type("confirm tasktracker --txn T1")
    assert code == 4 and "T1 was not confirmed within 90 s" in said["error"]


def test_what_was_kept_warm_long_enough_is_stopped(switched, monkeypatch):
    switched.ok("confirm tasktracker --txn T1")
    later = clock.boottime() + 1801
    monkeypatch.setattr(clock, "boottime", lambda: later)
    switched.ok("recover tasktracker")
    assert switched.running("app2") == ["api-green", "worker-green"]
    assert switched.timers() == []


def test_without_a_timer_nothing_is_switched_but_a_rollback_still_works(world):
    (world.root("edge1") / "no-systemd").touch()
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert code == 1 and "no timer" in said["error"]
    all_serve(world, BLUE)
    (world.root("edge1") / "no-systemd").unlink()
    world.ok("switch tasktracker --lease 90 --txn T1")
    (world.root("edge1") / "no-systemd").touch()
    world.ok("rollback tasktracker")
    all_serve(world, BLUE)


def journal(world):
    return world.root("edge1") / "var/lib/changeover/tasktracker/journal.jsonl"


def test_a_torn_last_line_is_ignored_and_cut_off(switched):
    with journal(switched).open("a") as file:
        file.write('{"n": 99, "kind": "beg')
    switched.ok("confirm tasktracker --txn T1")
    assert [r["kind"] for r in records.read(str(journal(switched)))][-1] == "end"


@pytest.mark.parametrize("behind, words", [(0, "confirm tasktracker --txn T1"), (60, "switch tasktracker --txn T9")])
def test_a_damaged_journal_needs_a_person_and_recover_goes_by_the_state(switched, behind, words):
    """Also where the damage is so far from the end that nothing but the whole file shows it."""
    for _ in range(behind):
        records.append(str(journal(switched)), {**records.read(str(journal(switched)))[-1], "pad": "x" * 5000})
    lines = journal(switched).read_text().splitlines(keepends=True)
    journal(switched).write_text(lines[0].replace('"n":1', '"n":7') + "".join(lines[1:]))
    code, said = switched.type(words)
    assert code == 6 and "line 1 is damaged" in said["error"]
    assert said["next"].startswith("changeover recover tasktracker")
    assert switched.ok("status tasktracker")["release"]["live"] == "1.1.0"
    assert "kept as" in switched.ok("recover tasktracker")["message"]
    switched.ok("confirm tasktracker --txn T1")


@pytest.mark.parametrize("left", [0, 0.5])
def test_a_truncated_journal_never_leaves_two_releases(switched, left):
    """The commit and the written state are lost together: the gateways are ahead, and are called back."""
    text = journal(switched).read_text()
    journal(switched).write_text(text[: int(len(text) * left)])
    path = switched.root("edge1") / "var/lib/changeover/tasktracker/state.json"
    now = json.loads(path.read_text())
    now.update(generation=1, lease=None, seq=now["seq"] - 1, switched=[])
    now["release"] = {"live": "1.0.0", "previous": None, "candidate": "1.1.0"}
    for slots in now["slots"].values():
        slots["live"] = "blue"
    path.write_text(json.dumps(now))
    switched.ok("recover tasktracker")
    all_serve(switched, BLUE)
    assert switched.state()["generation"] == 3


def test_damaged_state_needs_a_person(switched):
    (switched.root("edge1") / "var/lib/changeover/tasktracker/state.json").write_text("{")
    code, said = switched.type("rollback tasktracker")
    assert code == 6 and "state.json is damaged" in said["error"] and "another of its hosts" in said["next"]
    assert "/var/lib/changeover/tasktracker/state.json" in said["next"]


@pytest.mark.parametrize("words", ["status", "stage --release 1.1.0", "rollback", "recover"])
def test_a_lost_state_is_not_taken_for_a_first_installation(switched, words):
    path = switched.root("edge1") / "var/lib/changeover/tasktracker/state.json"
    path.unlink()
    verb, *rest = words.split()
    code, said = switched.type(" ".join([verb, "tasktracker", *rest]))
    assert code == 6 and "state.json on edge1 is gone" in said["error"] and "from another host" in said["next"]
    path.write_text((switched.root("app1") / "var/lib/changeover/tasktracker/state.json").read_text())
    switched.ok("recover tasktracker")
    switched.ok("rollback tasktracker")
    all_serve(switched, BLUE)


def test_a_coordinator_that_lost_everything_is_told_so(switched):
    (switched.root("edge1") / "var/lib/changeover/tasktracker/state.json").unlink()
    (switched.root("edge1") / "var/lib/changeover/tasktracker/audit.jsonl").unlink()
    journal(switched).unlink()
    switched.ok("stage tasktracker --release 1.1.0")
    code, said = switched.type("switch tasktracker --lease 90")
    assert code == 6 and "knows a newer state" in said["error"] and "copy" in said["next"]
    all_serve(switched, GREEN)


def test_two_at_once_the_second_is_told_who_is_at_work(switched, monkeypatch):
    monkeypatch.setattr("hostcmd.taken.WAIT", 0.1)
    handle = os.open(switched.site().kept("busy"), os.O_RDWR)
    os.truncate(handle, 0)
    os.pwrite(handle, b'{"verb": "switch", "by": "dana", "since": "noon", "pid": "7"}', 0)
    fcntl.flock(handle, fcntl.LOCK_EX)
    code, said = switched.type("confirm tasktracker --txn T1")
    assert code == 3 and "switch by dana since noon" in said["error"]
    assert switched.ok("status tasktracker")["busy"]["by"] == "dana"
    os.close(handle)
    switched.ok("confirm tasktracker --txn T1")


def test_the_audit_tells_when_a_line_was_changed(switched):
    assert switched.ok("audit tasktracker --verify")["head"] == audit.head(switched.site())
    path = switched.root("edge1") / "var/lib/changeover/tasktracker/audit.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    code, said = switched.type("audit tasktracker --verify")
    assert code == 6 and "chain is broken" in said["error"]


def test_the_alarm_is_never_late_by_a_minute(switched):
    assert all("AccuracySec=100ms" in alarm for alarm in switched.timers())
    assert timers.due(switched.site(), switched.state()) == pytest.approx(90, abs=5)


def test_a_start_that_was_stuck_on_its_way_changes_nothing(switched):
    """The coordinator was killed, the switch is undone, and then the killed one's request arrives."""
    late = {"verb": "start", "system": "tasktracker", "service": "worker", "slot": "blue", "release": "1.0.0"}
    said = peer.answer(str(switched.root("app2")), {**late, "fresh": True, "seq": switched.state()["seq"]})
    assert said["code"] == 4 and "too late" in said["error"]
    assert "worker-blue" not in switched.running("app2")
    old = {**switched.state(), "seq": 1}
    said = peer.answer(str(switched.root("edge2")), {"verb": "flip", "system": "tasktracker", "state": old})
    assert said["code"] == 6


def test_a_full_disk_behind_the_commit_is_finished_later(world, monkeypatch):
    from hostcmd import durable

    real = durable.write

    def full(path, text):
        if path.endswith("tasktracker/state.json") and "edge1" in path:
            raise OSError(28, "No space left on device", path)
        real(path, text)

    monkeypatch.setattr(durable, "write", full)
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert code == 6 and "is committed, but not yet finished" in said["error"]
    all_serve(world, GREEN)
    assert world.timers()
    monkeypatch.setattr(durable, "write", real)
    world.ok("recover tasktracker")
    assert world.state()["release"]["live"] == "1.1.0" and world.state()["lease"]["txn"] == "T1"


def test_why_a_host_was_not_told_is_said(switched):
    switched.away("edge2")
    said = switched.ok("rollback tasktracker")
    assert "No route to host" in said["missed"]["edge2"]
    assert "still to be told, and tried again by itself: edge2" in said["message"]


def test_a_full_disk_on_an_app_host_undoes_nothing_that_is_committed(world, monkeypatch):
    from hostcmd import durable

    real = durable.write

    def full(path, text):
        if "app2" in path:
            raise OSError(28, "No space left on device", path)
        real(path, text)

    monkeypatch.setattr(durable, "write", full)
    said = world.ok("switch tasktracker --lease 90 --txn T1")
    assert [debt["host"] for debt in said["pending"]] == ["app2"]
    monkeypatch.setattr(durable, "write", real)
    world.ok("recover tasktracker")
    assert world.state()["pending"] == [] and world.state("app2")["release"]["live"] == "1.1.0"
