"""Switch, confirm, rollback, drain on four hosts: what is served, what runs, what is written down."""

import json

import pytest

from hostcmd import clock
from tests.unit.hostcmd_support.world import GATEWAYS, HOSTS, World, folder, stand_in

BLUE = {"api": "blue", "dashboard": "blue"}
GREEN = {"api": "green", "dashboard": "green"}


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        yield World(base)


@pytest.fixture
def upgraded(world):
    """1.0.0 in blue, 1.1.0 in green with the traffic, lease open."""
    world.install()
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --release 1.1.0 --lease 90 --txn T1")
    return world


def all_serve(world, wanted):
    assert [world.serving(gateway) for gateway in GATEWAYS] == [wanted, wanted]


def test_a_first_installation_is_the_same_verb_and_has_no_lease(world):
    world.install()
    all_serve(world, BLUE)
    assert world.running("app1") == ["api-blue", "scheduler-blue", "worker-blue"]
    assert world.running("app2") == ["api-blue", "worker-blue"]
    now = world.state()
    assert (now["release"]["live"], now["generation"], now["lease"]) == ("1.0.0", 1, None)
    assert {host: world.state(host)["generation"] for host in HOSTS} == dict.fromkeys(HOSTS, 1)


def test_a_switch_moves_traffic_workers_and_what_runs_once(upgraded):
    all_serve(upgraded, GREEN)
    assert upgraded.running("app1") == ["api-blue", "api-green", "scheduler-green", "worker-green"]
    assert upgraded.running("app2") == ["api-blue", "api-green", "worker-green"]
    now = upgraded.state()
    assert now["release"] == {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    assert now["lease"]["txn"] == "T1" and now["lease"]["from_generation"] == 1
    [alarm] = upgraded.timers()
    assert "recover tasktracker" in alarm and "--on-active=90" in alarm


def test_the_same_switch_twice_is_done_once(upgraded):
    said = upgraded.ok("switch tasktracker --release 1.1.0 --lease 90 --txn T1")
    assert said["changed"] is False and said["generation"] == 2


OTHERS = ["hold tasktracker 9.9 --why x", "maintenance tasktracker on --why x", "lock tasktracker break"]


@pytest.mark.parametrize("words", OTHERS)
def test_no_other_verb_lets_the_lease_of_a_dead_run_last_longer(upgraded, monkeypatch, words):
    """Or a deploy that is tried every minute would keep users on what nobody confirmed."""
    if "break" in words:
        upgraded.ok("lock tasktracker acquire --owner D1 --ttl 60")
    before = upgraded.state()["lease"]
    later = clock.boottime() + 40
    monkeypatch.setattr(clock, "boottime", lambda: later)
    assert upgraded.ok(words)["ok"]
    assert upgraded.state()["lease"] == before
    upgraded.ok("renew tasktracker --txn T1")
    assert upgraded.state()["lease"] != before, "that is what a renewal is for"


def test_confirm_ends_the_lease_and_keeps_the_way_back_warm(upgraded):
    assert upgraded.type("confirm tasktracker --txn other")[0] == 4
    assert upgraded.ok("confirm tasktracker --txn T1")["lease"] is None
    assert upgraded.ok("confirm tasktracker --txn T1")["changed"] is False
    assert "api-blue" in upgraded.running("app1")
    [alarm] = upgraded.timers()
    assert "--on-active=1800" in alarm or "--on-active=1799" in alarm


def test_rollback_moves_everything_back_and_holds_the_release(upgraded):
    said = upgraded.ok("rollback tasktracker --why broken")
    all_serve(upgraded, BLUE)
    assert upgraded.running("app1") == ["api-blue", "api-green", "scheduler-blue", "worker-blue"]
    assert (
        said["held"] == {"1.1.0": "broken"} and said["release"]["live"] == "1.0.0" and said["lease"] is None
    )
    code, refused = upgraded.type("stage tasktracker --release 1.1.0")
    assert (
        code == 1
        and "broken" in refused["error"]
        and refused["next"].startswith("changeover unhold tasktracker")
    )
    upgraded.ok("unhold tasktracker 1.1.0")
    upgraded.ok("stage tasktracker --release 1.1.0")


def test_forward_again_to_slots_that_run_on_waits_for_nothing(upgraded, monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("hostcmd.verbs.time.sleep", slept.append)
    monkeypatch.setattr("hostcmd.verbs._drain_left", lambda *_: 17.0)
    upgraded.ok("rollback tasktracker --no-hold")
    upgraded.ok("stage tasktracker --release 1.1.0 --as-it-is")
    assert slept == []
    upgraded.ok("switch tasktracker --lease 0")
    upgraded.ok("rollback tasktracker --no-hold")
    upgraded.ok("stage tasktracker --release 1.2.0 --as-it-is")
    assert slept == [17.0], "another release is started anew in them: they drain first"


def test_a_second_rollback_has_nothing_to_go_back_to(upgraded):
    upgraded.ok("rollback tasktracker --txn B1")
    assert upgraded.ok("rollback tasktracker --txn B1")["changed"] is False
    code, said = upgraded.type("rollback tasktracker")
    assert code == 1 and "nothing to go back to" in said["error"]
    assert said["next"].startswith("changeover history tasktracker ")


def test_a_stopped_slot_is_started_and_waited_for_before_traffic_goes_back(upgraded):
    upgraded.ok("confirm tasktracker --txn T1")
    upgraded.ok("drain tasktracker")
    assert upgraded.running("app2") == ["api-green", "worker-green"]
    assert upgraded.ok("drain tasktracker")["changed"] is False
    upgraded.ok("rollback tasktracker")
    all_serve(upgraded, BLUE)
    assert upgraded.running("app2") == ["api-blue", "api-green", "worker-blue"]


def test_drain_waits_for_the_confirmation(upgraded):
    assert upgraded.type("drain tasktracker")[0] == 3


def test_drain_drops_a_candidate_that_never_got_traffic(world):
    world.install()
    world.stage("1.1.0", "green")
    world.ok("drain tasktracker")
    assert world.state()["release"] == {"live": "1.0.0", "previous": None, "candidate": None}
    assert world.running("app2") == ["api-blue", "worker-blue"]


def test_an_unhealthy_slot_on_one_host_keeps_everything_where_it_was(world):
    world.install()
    world.engine("app2", sick=["tasktracker-api-green-1"])
    world.stage("1.1.0", "green")
    before = world.state()
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert (
        code == 1
        and "api-green on app2 is not healthy" in said["error"]
        and "nothing was touched" in said["error"]
    )
    assert world.state() == before
    all_serve(world, BLUE)


def test_a_slot_with_another_release_is_not_switched_to(world):
    world.install()
    world.ok("stage tasktracker --release 1.2.0")
    world.deploy_containers("1.1.0", "green")
    code, said = world.type("switch tasktracker --lease 90")
    assert code == 1 and "api-green on app1 is release 1.1.0, not 1.2.0" in said["error"]


def test_a_worker_that_does_not_start_undoes_the_switch_everywhere(world):
    world.install()
    world.engine("app2", sick=["tasktracker-worker-green-1"])
    world.stage("1.1.0", "green")
    code, said = world.type("switch tasktracker --lease 90 --txn T1")
    assert code == 1 and "worker-green on app2 is not healthy" in said["error"] and "undone" in said["error"]
    all_serve(world, BLUE)
    assert world.running("app1") == ["api-blue", "api-green", "scheduler-blue", "worker-blue"]
    world.engine("app2", sick=[])
    world.ok("switch tasktracker --lease 90 --txn T1")
    all_serve(world, GREEN)


def test_only_the_staged_services_move(world):
    world.install()
    world.ok("stage tasktracker --release 1.1.0 --service api")
    world.deploy_containers("1.1.0", "green")
    world.ok("switch tasktracker --lease 90")
    all_serve(world, {"api": "green", "dashboard": "blue"})
    assert world.running("app2") == ["api-blue", "api-green", "worker-blue"]


def test_a_service_that_is_taken_out_is_forgotten_with_the_next_release_and_comes_back_anew(world):
    world.install()
    files = [world.root(host) / "etc/changeover/tasktracker.json" for host in HOSTS]
    whole = [json.loads(file.read_text()) for file in files]
    for file, content in zip(files, whole, strict=True):
        rest = {name: one for name, one in content["services"].items() if name != "dashboard"}
        file.write_text(json.dumps({**content, "services": rest}))
    world.stage("1.1.0", "green")
    world.ok("switch tasktracker --lease 90 --txn T1")
    world.ok("confirm tasktracker --txn T1")
    assert "dashboard" not in world.state()["slots"]
    for file, content in zip(files, whole, strict=True):
        file.write_text(json.dumps(content))
    assert world.ok("stage tasktracker --release 1.1.0 --service dashboard")["targets"] == {"dashboard": "blue"}
    world.deploy_containers("1.1.0", "blue")
    world.ok("switch tasktracker --lease 90 --txn T2")
    all_serve(world, {"api": "green", "dashboard": "blue"})
    world.ok("rollback tasktracker --why test")
    all_serve(world, {"api": "green"})


def test_stage_answers_which_slots_and_is_done_once(world):
    world.install()
    said = world.ok("stage tasktracker --release 1.1.0")
    assert said["targets"] == {name: "green" for name in ("api", "dashboard", "scheduler", "worker")}
    assert world.ok("stage tasktracker --release 1.1.0")["changed"] is False
    assert world.ok("stage tasktracker --release 1.0.0")["targets"] == {}
    assert world.ok("stage tasktracker --release 1.0.0 --again")["targets"]["api"] == "green"


def test_an_old_generation_is_refused(upgraded):
    assert upgraded.type("rollback tasktracker --expect-generation 1")[0] == 4
    assert upgraded.type("switch tasktracker --release 1.3.0")[0] == 4


def test_a_slot_that_is_left_has_its_drain_from_when_traffic_left_it(upgraded, monkeypatch):
    """The slot that is gone back to was stopped, and takes its time to start."""
    from hostcmd import clock, containers

    for host in HOSTS:
        path = upgraded.root(host) / "etc/changeover/tasktracker.json"
        path.write_text(path.read_text().replace('"drain": 0', '"drain": 30'))
    upgraded.ok("confirm tasktracker --txn T1")
    upgraded.ok("drain tasktracker --now")
    began, took = clock.boottime(), [0.0]
    real = containers.start

    def slow(site, name, release, *, fresh, wait):
        took[0] += 25 if wait and site.me == "app1" else 0
        real(site, name, release, fresh=fresh, wait=wait)

    monkeypatch.setattr(clock, "boottime", lambda: began + took[0])
    monkeypatch.setattr(containers, "start", slow)
    upgraded.ok("rollback tasktracker")
    now = upgraded.state()
    assert took[0] >= 25 and now["moved"]["boottime"] == pytest.approx(began + took[0], abs=0.01)
    assert clock.left(str(upgraded.root("edge1")), now["warm"]) == pytest.approx(30, abs=0.01)


@pytest.mark.parametrize(
    "prepare, words",
    [
        ("stage tasktracker --release 1.2.0", "rollback tasktracker"),
        ("hold tasktracker 9.9.9", "stage tasktracker --release 9.9.9"),
    ],
)
def test_the_next_command_names_the_system(upgraded, prepare, words):
    upgraded.ok("confirm tasktracker --txn T1")
    upgraded.ok(prepare)
    code, said = upgraded.type(words)
    assert code == 1 and "SYSTEM" not in said["next"] and " tasktracker" in said["next"]
