"""Weighted steps on four hosts: who is on the candidate, what stays, the ways on and back, and what is refused."""

import json

import pytest

from hostcmd.site import Service
from hostcmd.state import EMPTY, marks, staged, whole
from hostcmd.stop import Stop
from tests.unit.hostcmd_support.seen import BLUE, GREEN, OLD, SWITCH, all_serve, later, runs
from tests.unit.hostcmd_support.world import World, folder, stand_in

AT_25 = {name: "blue+green_0+green_25+green_5" for name in ("api", "dashboard")}
AT_5 = {name: "blue+green_0+green_5" for name in ("api", "dashboard")}


@pytest.fixture
def base(monkeypatch):
    stand_in(monkeypatch)
    with folder() as made:
        yield made


@pytest.fixture
def world(base):
    """1.0.0 serves from blue, 1.1.0 runs in green beside it."""
    world = World(base)
    world.install()
    world.stage("1.1.0", "green")
    return world


def weight(percent, lease=90, txn="T1"):
    return f"weight tasktracker {percent} --lease {lease} --txn {txn}"


def test_steps_are_nested_and_the_last_one_is_the_switch(world):
    said = world.ok(weight(0))
    assert said["message"] == "only chosen clients are on 1.1.0, the others on 1.0.0" and "weight" in said
    all_serve(world, dict.fromkeys(BLUE, "blue+green_0"))
    world.ok(weight(5))
    all_serve(world, AT_5)
    said = world.ok(weight(25))
    assert said["message"] == "25 % of the clients are on 1.1.0, the others on 1.0.0"
    on = "changeover weight tasktracker 50 --txn T1   (else all go back by themselves in 90 s)"
    assert said["next"] == on
    all_serve(world, AT_25)
    runs(world, {"app1": ["api-blue", "api-green", "scheduler-blue", "worker-blue"]})
    world.ok(weight(50))
    assert world.state()["release"]["live"] == "1.0.0" and world.state()["lease"]["from_generation"] == 1
    said = world.ok(weight(100))
    assert "1.1.0 has the traffic" in said["message"]
    all_serve(world, GREEN)
    runs(world, {"app1": ["api-blue", "api-green", "scheduler-green", "worker-green"]})
    now = world.state()
    assert now["weight"] is None and now["release"] == {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    assert now["lease"]["from_generation"] == 1
    assert world.ok(weight(100))["changed"] is False
    world.ok("confirm tasktracker --txn T1")


def test_every_gateway_has_the_same_files_one_for_each_step(world):
    world.ok(weight(25))
    for host in ("edge1", "edge2"):
        slots = world.root(host) / "srv/gateway/slots/tasktracker/live"
        assert sorted(path.name for path in slots.iterdir() if path.name.startswith("api")) == [
            "api.blue", "api.green_0", "api.green_25", "api.green_5"
        ]  # fmt: skip


@pytest.mark.parametrize("at", [0, 5, 50])
@pytest.mark.parametrize("how", ["rollback", "lease", "reboot"])
def test_from_any_step_all_go_back(world, monkeypatch, at, how):
    world.ok(weight(at))
    if how == "lease":
        later(monkeypatch)
        world.ok("recover tasktracker")
    elif how == "reboot":
        world.reboot("edge1")
        world.ok("recover tasktracker")
    else:
        said = world.ok("rollback tasktracker --why worse")
        assert "is back on 1.0.0 (from 1.1.0)" in said["message"]
    all_serve(world, BLUE)
    world.ok("drain tasktracker")  # it comes by itself, once the slot that was left had its time
    runs(world, OLD)
    now = world.state()
    assert now["weight"] is None and now["release"] == {"live": "1.0.0", "previous": None, "candidate": None}
    assert now["held"] == ({"1.1.0": "worse"} if how == "rollback" else {})


def test_a_paused_step_stays_without_a_lease_and_is_gone_on_with(world, monkeypatch):
    world.ok(weight(25))
    generation = world.state()["generation"]
    said = world.ok(weight(25, lease=0))
    assert "it stays so: nobody watches it" in said["next"] and said["lease"] is None
    assert world.state()["generation"] == generation, "nobody is moved"
    later(monkeypatch, 100_000)
    assert world.ok("recover tasktracker")["changed"] is False
    all_serve(world, AT_25)
    assert not world.timers()
    world.ok(weight(25, txn="T2"))
    assert world.state()["lease"]["txn"] == "T2" and world.timers()
    world.ok(weight(50, txn="T2"))
    world.ok(weight(100, txn="T2"))
    all_serve(world, GREEN)


def test_a_paused_step_is_gone_back_from(world):
    world.ok(weight(5))
    world.ok(weight(5, lease=0))
    world.ok("rollback tasktracker")
    all_serve(world, BLUE)


def test_a_step_down_needs_no_healthy_candidate_and_no_other_gateway(world):
    world.ok(weight(25))
    world.engine("app1", containers={})
    world.away("edge2")
    said = world.ok(weight(5, lease=0))
    assert said["weight"] == {"percent": 5, "steps": [0, 5]} and "edge2" in said["message"]
    assert world.serving("edge1") == AT_5 and world.serving("edge2") == AT_25
    world.away("edge2", False)
    world.ok("recover tasktracker")
    all_serve(world, AT_5)


@pytest.mark.parametrize("trouble", ["sick", "away", "gateway"])
def test_a_step_up_needs_both(world, trouble):
    world.ok(weight(5))
    if trouble == "sick":
        world.engine("app2", containers={})
    elif trouble == "away":
        world.away("edge2")
    else:
        (world.root("edge2") / "srv/gateway/slots/tasktracker/.3.new").touch()  # where its marks would be made
    code, said = world.type(weight(25))
    assert code in (1, 5)
    assert world.serving("edge1") == AT_5 and world.state()["weight"]["percent"] == 5
    assert world.state()["lease"], "it goes back unless somebody goes on"


@pytest.mark.parametrize(
    "line, code, words",
    [
        ("weight tasktracker 30 --lease 90", 2, "30 is no step of tasktracker (release.steps: 0, 5, 25, 50, 100)"),
        ("weight tasktracker 101 --lease 90", 2, None),
        ("weight tasktracker 5 --lease 0", 2, "a step up needs a lease"),
        ("switch tasktracker --host app1 --lease 90", 2, "is not rolling"),
    ],
)
def test_a_step_that_is_none_is_refused(world, line, code, words):
    if words is None:
        from hostcmd import cli

        assert cli.captured(str(world.root("edge1")), line.split(), "tester")[0] == code
    else:
        found, said = world.type(line)
        assert found == code and words in said["error"]
    all_serve(world, BLUE)


def test_nothing_is_weighed_without_something_live_or_staged(base):
    world = World(base)
    world.ok("stage tasktracker --release 1.0.0")
    world.deploy_containers("1.0.0", "blue")
    code, said = world.type(weight(5))
    assert code == 4 and "nothing is live" in said["error"]
    world.ok(SWITCH)
    code, said = world.type(weight(5, txn="T2"))
    assert code == 4 and "no release is staged" in said["error"]


@pytest.mark.parametrize("lease", [90, 0])
@pytest.mark.parametrize(
    "line, code",
    [
        ("stage tasktracker --release 1.2.0", 3),
        ("drain tasktracker --now", 3),
        ("confirm tasktracker", 4),
        ("confirm tasktracker --txn T1", 4),
    ],
)
def test_what_would_leave_clients_without_their_slot_is_refused_at_a_step(world, line, code, lease):
    world.ok(weight(25))
    if not lease:
        world.ok(weight(25, lease=0))
    found, said = world.type(line)
    assert found == code, said
    assert "1.1.0" in said["error"] or "T1" in said["error"]
    all_serve(world, AT_25)
    runs(world, {"app2": ["api-blue", "api-green", "worker-blue"]})


def test_the_same_release_is_staged_again_when_it_is_resumed(world):
    world.ok(weight(25))
    world.ok(weight(25, lease=0))
    assert world.ok("stage tasktracker --release 1.1.0 --txn T2")["changed"] is False
    found, said = world.type("stage tasktracker --release 1.1.0 --service api --again --txn T2")
    assert found == 0 and said["changed"] is False
    all_serve(world, AT_25)


def test_another_run_cannot_go_on_while_the_lease_is_anothers(world):
    world.ok(weight(5))
    code, said = world.type(weight(25, txn="T2"))
    assert code == 4 and "begun by T1" in said["error"]
    assert world.ok(weight(5))["changed"] is False


def test_a_step_is_not_mixed_into_another_kind_of_switch(base):
    world = World(base, "rolling")
    world.install()
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --host app1 --lease 90 --txn T1")
    code, said = world.type(weight(5))
    assert code == 4 and "half-way, and not by steps" in said["error"]


def test_other_slots_than_those_that_serve_a_share_are_not_given(world):
    """Such as for a service that the settings have got meanwhile."""
    world.ok(weight(5))
    world.ok(weight(5, lease=0))
    with pytest.raises(Stop) as stop:
        staged(world.state(), "1.1.0", ["api", "dashboard", "scheduler", "worker", "another"], again=False)
    assert "in other slots than these settings would give it" in stop.value.fact


def test_another_kind_of_switch_is_not_mixed_in(world):
    world.ok(weight(5))
    for host in ("edge1", "edge2", "app1", "app2"):
        file = world.root(host) / "etc/changeover/tasktracker.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"strategy": "rolling"}))
    code, said = world.type("switch tasktracker --host app1 --lease 90 --txn T1")
    assert code == 4 and "by steps" in said["error"]


def test_status_and_history_say_where_it_is(world):
    world.ok(weight(25))
    said = world.ok("status tasktracker")["message"]
    assert "step        25 % of the clients are on 1.1.0, the others on 1.0.0" in said
    assert "to go on: changeover weight tasktracker 50 --txn T1" in said and "changeover rollback tasktracker" in said
    world.ok(weight(25, lease=0))
    said = world.ok("status tasktracker")["message"]
    assert "it stays so: nobody watches it" in said and "changeover weight tasktracker 50   (" in said
    assert "off         1 thing: 25 % of the clients are on 1.1.0, and nobody watches it" in said
    world.engine("app2", containers={})
    assert "api-green on app2 is not there" in world.ok("status tasktracker")["off"]
    assert "25 % of the clients on 1.1.0" in world.ok("history tasktracker")["message"]


def test_a_state_of_before_there_were_steps_is_read():
    old = {key: value for key, value in EMPTY.items() if key != "weight"}
    assert whole(old)["weight"] is None
    api = Service("api", ("app1",), True, False, 1, 1, 1)
    state = whole({**old, "slots": {"api": {"live": "blue", "blue": "1", "green": "2"}}, "staged": ["api"]})
    assert marks(state, {"api": api}) == {"api": "blue"}
    state["weight"] = {"percent": 5, "steps": [5]}
    assert marks({**state, "staged": []}, {"api": api}) == {"api": "blue"}
    assert marks(state, {"api": api}) == {"api": "blue+green_5"}
