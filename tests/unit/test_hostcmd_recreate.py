"""Recreate on four hosts: the page, what is stopped behind it, what comes back, and what is refused."""

import pytest

from hostcmd import containers
from tests.unit.hostcmd_support import fakes
from tests.unit.hostcmd_support.seen import BLUE, GREEN, NEW, OLD, SWITCH, all_serve, later, pages, runs, watch_requests
from tests.unit.hostcmd_support.world import World, folder, stand_in

OPEN = "switch tasktracker --open --lease 90 --txn T1"


@pytest.fixture
def base(monkeypatch):
    stand_in(monkeypatch)
    with folder() as made:
        yield made


@pytest.fixture
def staged(base):
    """Recreate: 1.0.0 serves from blue, 1.1.0 is made in green and does not run."""
    world = World(base, "recreate")
    world.install()
    world.ok("stage tasktracker --release 1.1.0")
    world.deploy_containers("1.1.0", "green", starts=False)
    return world


@pytest.fixture
def opened(staged):
    staged.ok(OPEN)
    return staged


@pytest.fixture
def recreated(opened):
    opened.deploy_containers("1.1.0", "green")
    opened.said = opened.ok(SWITCH)
    return opened


def test_opening_shows_the_page_and_stops_what_will_be_replaced(opened):
    assert pages(opened) == ["release 1.1.0 replaces 1.0.0"] * 2
    runs(opened, {"app1": [], "app2": [], "edge1": []})
    now = opened.state()
    assert now["release"] == {"live": "1.0.0", "previous": None, "candidate": "1.1.0"}
    assert now["lease"]["txn"] == "T1" and opened.timers()
    assert opened.state("app2")["opened"]["txn"] == "T1"
    assert opened.ok(OPEN)["changed"] is False


def test_nothing_is_stopped_before_the_page_is_on_everywhere(staged, monkeypatch):
    seen = []

    def look(verb, host):
        if verb == "adopt":
            seen.append(pages(staged))

    watch_requests(monkeypatch, look)
    staged.ok(OPEN)
    assert seen and seen[0] == ["release 1.1.0 replaces 1.0.0"] * 2


def test_the_switch_of_what_was_opened_serves_the_new_one_without_a_page(recreated):
    all_serve(recreated, GREEN)
    assert pages(recreated) == [None, None]
    runs(recreated, NEW)
    assert "the maintenance page was on for 0." in recreated.said["message"]
    recreated.ok("confirm tasktracker --txn T1")
    assert recreated.state()["warm"] is None, "the old slot is stopped; nothing is kept warm"
    assert recreated.state()["retired"]


def test_the_page_comes_off_last(opened, monkeypatch):
    opened.deploy_containers("1.1.0", "green")
    seen = []
    watch_requests(monkeypatch, lambda verb, host: seen.append((verb, host, pages(opened)[0] is None)))
    opened.ok(SWITCH)
    assert [host for verb, host, off in seen if verb == "flip" and off] == []
    adopted = [(host, off) for verb, host, off in seen if verb == "adopt"]
    assert {host for host, off in adopted if not off} >= {"app1", "app2", "edge1"}
    assert [host for host, _ in adopted][-2:] == ["edge1", "edge2"]


def test_a_switch_without_opening_is_refused(staged):
    staged.deploy_containers("1.1.0", "green")
    code, said = staged.type(SWITCH)
    assert code == 4 and "1.0.0 still runs" in said["error"] and said["next"].endswith("--open")
    runs(staged, {"app2": ["api-blue", "api-green", "worker-blue"]})


def test_a_first_installation_needs_no_opening(base):
    world = World(base, "recreate")
    world.install()
    all_serve(world, BLUE)
    code, said = world.type(OPEN)
    assert code == 4 and "no release is staged" in said["error"]


@pytest.mark.parametrize(
    "line, code, words",
    [
        ("switch tasktracker --open --lease 0", 2, "needs a lease"),
        ("switch tasktracker --open --release 9.9.9", 4, "9.9.9 is not staged"),
        ("switch tasktracker --host app1 --lease 90", 2, "is not rolling"),
    ],
)
def test_what_is_no_recreate_is_refused(staged, line, code, words):
    found, said = staged.type(line)
    assert found == code and words in said["error"]
    runs(staged, OLD)
    assert pages(staged) == [None, None]


@pytest.mark.parametrize(
    "line, code, words",
    [
        ("confirm tasktracker --txn T1", 4, "not done yet"),
        ("stage tasktracker --release 1.2.0", 3, "to 1.1.0 is not done yet"),
        ("drain tasktracker", 3, "not confirmed"),
        ("switch tasktracker --lease 90 --txn T2", 4, "begun by T1, not by T2"),
        (SWITCH, 1, "is not there"),
    ],
)
def test_while_it_is_open_only_the_switch_and_the_way_back_go_on(opened, line, code, words):
    before = opened.state()
    found, said = opened.type(line)
    assert found == code and words in said["error"]
    assert opened.state() == before and pages(opened)[0]


def test_a_lease_that_runs_out_stops_the_new_one_and_starts_the_old_one(opened, monkeypatch):
    opened.deploy_containers("1.1.0", "green")
    opened.ok("renew tasktracker --txn T1")
    later(monkeypatch)
    assert "went back to 1.0.0" in opened.ok("recover tasktracker")["message"]
    all_serve(opened, BLUE)
    runs(opened, OLD)
    assert pages(opened) == [None, None] and opened.state()["held"] == {}
    assert opened.state()["release"] == {"live": "1.0.0", "previous": None, "candidate": None}
    assert opened.ok("recover tasktracker")["changed"] is False


def test_the_old_one_never_starts_beside_the_new_one(opened, monkeypatch):
    opened.deploy_containers("1.1.0", "green")
    both = []

    def look(verb, host):
        names = [name for place in ("app1", "app2") for name in opened.running(place) if name.startswith("api")]
        both.append({name for name in names} == {"api-blue", "api-green"})

    watch_requests(monkeypatch, look)
    opened.ok("rollback tasktracker")
    assert len(both) > 8 and not any(both)
    runs(opened, OLD)


def test_a_rollback_while_it_is_open_holds_the_candidate(opened):
    said = opened.ok("rollback tasktracker --why slow")
    assert said["held"] == {"1.1.0": "slow"} and "is back on 1.0.0 (from 1.1.0)" in said["message"]
    opened.ok("stage tasktracker --release 1.1.1")


def test_a_rollback_after_a_recreate_has_the_page_and_never_both(recreated, monkeypatch):
    recreated.ok("confirm tasktracker --txn T1")
    seen = []
    watch_requests(monkeypatch, lambda verb, host: seen.append((verb, pages(recreated)[0], recreated.running("app2"))))
    recreated.ok("rollback tasktracker")
    assert all(reason == "release 1.0.0 comes back" for verb, reason, _ in seen if verb in ("stop", "start", "flip"))
    assert not any({"api-blue", "api-green"} <= set(running) for _, _, running in seen)
    all_serve(recreated, BLUE)
    runs(recreated, OLD)
    assert pages(recreated) == [None, None]


def test_a_way_back_that_does_not_start_leaves_the_new_one_serving(recreated, monkeypatch):
    for host in ("app1", "app2"):
        recreated.engine(host, sick=["tasktracker-api-blue-1"])
    started, real = [], containers.start

    def start(site, name, release, *, fresh, wait):
        real(site, name, release, fresh=fresh, wait=wait)
        started.append((name, bool(wait), all(pages(recreated))))

    monkeypatch.setattr(containers, "start", start)
    code, said = recreated.type("rollback tasktracker")
    assert started.count(("api-green", True, True)) == 2, "healthy on both hosts before the page comes off"
    assert code == 1 and "api-blue" in said["error"] and "undone" in said["error"]
    all_serve(recreated, GREEN)
    runs(recreated, NEW)
    assert pages(recreated) == [None, None]


def test_an_old_one_that_does_not_start_keeps_the_page_and_is_tried_again(opened, monkeypatch):
    for host in ("app1", "app2"):
        opened.engine(host, sick=["tasktracker-api-blue-1"])
    later(monkeypatch)
    assert opened.type("recover tasktracker")[0] == 1
    assert pages(opened) == ["release 1.1.0 replaces 1.0.0"] * 2
    assert any("--on-active=30" in alarm for alarm in opened.timers())
    for host in ("app1", "app2"):
        opened.engine(host, sick=[])
    opened.ok("recover tasktracker")
    runs(opened, OLD)
    assert pages(opened) == [None, None]


def test_a_gateway_that_is_away_keeps_it_from_opening(staged):
    staged.away("edge2")
    code, said = staged.type(OPEN)
    assert code == 5 and "nothing was touched" in said["error"]
    assert not staged.state()["opened"] and pages(staged) == [None, None]
    runs(staged, OLD)


def test_a_host_whose_old_one_does_not_stop_brings_it_all_back(staged, monkeypatch):
    real = fakes.docker
    stuck = staged.root("app2")
    monkeypatch.setattr(
        fakes, "docker",
        lambda root, words: (1, "", "stuck") if (root, words[0]) == (stuck, "stop") else real(root, words),
    )  # fmt: skip
    code, said = staged.type(OPEN)
    assert code == 1 and "app2 may still run 1.0.0" in said["error"] and "1.0.0 serves again" in said["error"]
    runs(staged, OLD)
    assert pages(staged) == [None, None] and staged.state()["release"]["candidate"] is None


def test_a_persons_page_stays_through_it_all(staged, monkeypatch):
    staged.ok("maintenance tasktracker on --why moving")
    staged.ok(OPEN)
    staged.deploy_containers("1.1.0", "green")
    staged.ok(SWITCH)
    assert pages(staged) == ["moving", "moving"]
    staged.ok("rollback tasktracker")
    assert pages(staged) == ["moving", "moving"]
    staged.ok("maintenance tasktracker off")
    assert pages(staged) == [None, None]


def test_a_person_cannot_take_the_page_off_what_is_stopped(opened):
    opened.ok("maintenance tasktracker on --why mine")
    said = opened.ok("maintenance tasktracker off")
    assert "the page stays until the switch T1 is done" in said["message"]
    assert pages(opened) == ["release 1.1.0 replaces 1.0.0"] * 2


def test_a_gateway_that_was_away_shows_the_page_before_nginx_starts(opened):
    (opened.root("edge2") / "srv/gateway/slots/tasktracker/maintenance").unlink()
    opened.ok("recover tasktracker --gateway", host="edge2")
    assert all(pages(opened))


def test_status_says_what_is_stopped_and_why(opened):
    said = opened.ok("status tasktracker")["message"]
    assert "recreate    1.0.0 is stopped for 1.1.0" in said
    assert "maintenance on since" in said and "release 1.1.0 replaces 1.0.0" in said
    assert "unless it goes on: changeover switch tasktracker --txn T1" in said


def test_what_a_late_deploy_started_after_the_way_back_is_stopped_by_a_drain(opened):
    opened.ok("rollback tasktracker")
    opened.deploy_containers("1.1.0", "green")
    assert "api-green" in opened.running("app1")
    assert opened.ok("drain tasktracker --now")["changed"] is True
    runs(opened, OLD)
    assert opened.ok("drain tasktracker --now")["changed"] is False
