"""Rolling on four hosts: host by host, all back at once, and what is refused."""

import pytest

from tests.unit.hostcmd_support.seen import BLUE, GREEN, OLD, SWITCH, all_serve, later, runs
from tests.unit.hostcmd_support.world import World, folder, stand_in


@pytest.fixture
def base(monkeypatch):
    stand_in(monkeypatch)
    with folder() as made:
        yield made


@pytest.fixture
def rolling(base):
    """1.0.0 serves from blue, 1.1.0 runs in green beside it."""
    world = World(base, "rolling")
    world.install()
    world.stage("1.1.0", "green")
    return world


def roll(host):
    return f"switch tasktracker --host {host} --lease 90 --txn T1"


def test_hosts_go_one_by_one_in_their_order(rolling):
    said = rolling.ok(roll("app1"))
    assert said["message"] == "1 of 4 hosts serve 1.1.0, the others 1.0.0" and "--host app2" in said["next"]
    all_serve(rolling, {"api": "green1", "dashboard": "blue"})
    runs(rolling, {"app1": ["api-blue", "api-green", "scheduler-green", "worker-green"]})
    runs(rolling, {"app2": ["api-blue", "api-green", "worker-blue"]})
    rolling.ok(roll("app2"))
    all_serve(rolling, {"api": "green", "dashboard": "blue"})
    rolling.ok(roll("edge1"))
    all_serve(rolling, {"api": "green", "dashboard": "green1"})
    assert rolling.state()["release"]["live"] == "1.0.0" and rolling.state()["lease"]["from_generation"] == 1
    said = rolling.ok(roll("edge2"))
    assert "1.1.0 has the traffic" in said["message"]
    all_serve(rolling, GREEN)
    now = rolling.state()
    assert now["rolled"] == [] and now["release"] == {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    assert now["lease"]["from_generation"] == 1
    assert rolling.ok(roll("edge2"))["changed"] is False
    rolling.ok("confirm tasktracker --txn T1")


@pytest.mark.parametrize("rolled", [["app1"], ["app1", "app2"], ["app1", "app2", "edge1"]])
@pytest.mark.parametrize("how", ["rollback", "lease"])
def test_all_hosts_go_back_at_once(rolling, monkeypatch, rolled, how):
    for host in rolled:
        rolling.ok(roll(host))
    if how == "lease":
        later(monkeypatch)
        rolling.ok("recover tasktracker")
    else:
        said = rolling.ok("rollback tasktracker --why worse")
        assert "is back on 1.0.0 (from 1.1.0)" in said["message"]
    all_serve(rolling, BLUE)
    rolling.ok("drain tasktracker")  # it comes by itself, once the slot that was left had its time
    runs(rolling, OLD)
    now = rolling.state()
    assert now["rolled"] == [] and now["release"] == {"live": "1.0.0", "previous": None, "candidate": None}
    assert now["held"] == ({"1.1.0": "worse"} if how == "rollback" else {})


def test_the_rest_may_be_switched_at_once(rolling):
    rolling.ok(roll("app1"))
    rolling.ok(SWITCH)
    all_serve(rolling, GREEN)
    runs(rolling, {"app2": ["api-blue", "api-green", "worker-green"]})


def test_a_hosts_own_candidate_is_what_counts_in_its_turn(rolling):
    rolling.engine("app2", containers={})
    rolling.ok(roll("app1"))
    code, said = rolling.type(roll("app2"))
    assert code == 1 and "api-green on app2 is not there" in said["error"] and "nothing was touched" in said["error"]
    all_serve(rolling, {"api": "green1", "dashboard": "blue"})


@pytest.mark.parametrize(
    "line, code, words",
    [
        ("switch tasktracker --host app2 --lease 90", 4, "app1 comes before app2"),
        ("switch tasktracker --host data1 --lease 90", 2, "data1 runs nothing of what is staged"),
        ("switch tasktracker --host app1 --lease 0", 2, "needs a lease"),
        ("switch tasktracker --open --lease 90", 2, "is not recreate"),
    ],
)
def test_a_turn_that_is_none_is_refused(rolling, line, code, words):
    found, said = rolling.type(line)
    assert found == code and words in said["error"]
    all_serve(rolling, BLUE)


def test_a_turn_twice_is_one_and_another_run_has_none(rolling):
    rolling.ok(roll("app1"))
    assert rolling.ok(roll("app1"))["changed"] is False
    code, said = rolling.type("switch tasktracker --host app2 --lease 90 --txn T2")
    assert code == 4 and "begun by T1" in said["error"]


def test_a_worker_that_does_not_start_leaves_its_host_where_it_was(rolling):
    rolling.ok(roll("app1"))
    rolling.engine("app2", sick=["tasktracker-worker-green-1"])
    code, said = rolling.type(roll("app2"))
    assert code == 1 and "undone" in said["error"]
    all_serve(rolling, {"api": "green1", "dashboard": "blue"})
    runs(rolling, {"app2": ["api-blue", "api-green", "worker-blue"]})
    assert rolling.state()["rolled"] == ["app1"]


def test_a_host_that_was_away_goes_back_when_it_is_told(rolling):
    rolling.ok(roll("app1"))
    rolling.away("app1")
    rolling.ok("rollback tasktracker")
    all_serve(rolling, BLUE)
    rolling.away("app1", False)
    rolling.ok("recover tasktracker")
    rolling.ok("drain tasktracker")
    runs(rolling, OLD)


def test_status_says_how_far_it_is(rolling):
    rolling.ok(roll("app1"))
    said = rolling.ok("status tasktracker")["message"]
    assert "rolling     1 of 4 hosts serve 1.1.0: app1" in said
    assert "app1 green ready   app2 blue ready" in said
    assert "unless it goes on: changeover switch tasktracker --host app2 --txn T1" in said


def test_changed_settings_of_the_live_release_go_host_by_host_too(base):
    world = World(base, "rolling")
    world.install()
    world.ok("confirm tasktracker")
    world.ok("stage tasktracker --release 1.0.0 --again --txn T1")
    world.deploy_containers("1.0.0", "green")
    for host in ("app1", "app2", "edge1"):
        world.ok(roll(host))
    said = world.ok(roll("edge2"))
    assert said["changed"] is True and "has the traffic" in said["message"]
    all_serve(world, GREEN)
    assert world.state()["rolled"] == []
    assert world.ok(roll("edge2"))["changed"] is False
    world.ok("confirm tasktracker --txn T1")
    world.ok("rollback tasktracker")
    all_serve(world, BLUE)


def test_changed_settings_are_switched_at_once_when_the_rest_shall_follow(base):
    world = World(base, "rolling")
    world.install()
    world.ok("confirm tasktracker")
    world.ok("stage tasktracker --release 1.0.0 --again --txn T1")
    world.deploy_containers("1.0.0", "green")
    world.ok(roll("app1"))
    assert world.ok(SWITCH)["changed"] is True
    all_serve(world, GREEN)
