"""`changeover status`: what is live, since when, by whom, and is anything off; on hosts that are folders."""

import json
import re

import pytest

from hostcmd import cli
from tests.unit.hostcmd_support import fakes
from tests.unit.hostcmd_support.world import SYSTEM, World, folder, stand_in


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        made = World(base)
        made.install()
        yield made


def screen(world, words="", host="edge1"):
    code, out, err = cli.captured(str(world.root(host)), ["status", SYSTEM, *words.split()], "dana@app1")
    assert code == 0, err
    return out.splitlines()


def container(world, host, name, **changes):
    """Something has happened to a container behind the command's back."""
    found = fakes.engine(world.root(host))
    one = found["containers"].setdefault(f"{SYSTEM}-{name}-1", {"state": "running", "health": "healthy"})
    found["containers"][f"{SYSTEM}-{name}-1"] = {"release": None, **one, **changes}
    fakes.save(world.root(host), found)


def released(world, confirmed=True):
    world.stage("1.1.0", "green")
    world.ok(f"switch {SYSTEM} --txn T1 --by dana")
    if confirmed:
        world.ok(f"confirm {SYSTEM} --txn T1")


def test_all_is_well_says_so_on_one_screen(world):
    container(world, "app1", "postgres")
    lines = screen(world)
    assert re.match(r"tasktracker   live 1.0.0 since 20.{17} UTC \(\d s ago\), by tester   previous none$", lines[0])
    assert "  api         app1 blue ready   app2 blue ready" in lines
    assert "  scheduler   app1 blue ready" in lines
    assert "  postgres    app1 ready" in lines, "what has no slots is told too"
    assert "  lock        free" in lines and "  drift       none" in lines and "  off         nothing" in lines
    assert lines[-1].startswith("to go back: nothing is kept to go back to")
    assert len(lines) < 20 and max(map(len, lines)) <= 100


def test_nothing_is_off_in_a_release_that_is_watched_nor_after_it(world):
    released(world, confirmed=False)
    assert world.ok(f"status {SYSTEM}")["off"] == [], "slots that are warm run as they should"
    world.ok(f"confirm {SYSTEM} --txn T1")
    said = world.ok(f"status {SYSTEM}")
    assert said["off"] == [] and said["drift"] == []
    assert "previous 1.0.0 (blue, warm, stopped in 30 min)" in said["message"]


@pytest.mark.parametrize(
    "host, name, changes, says",
    [
        ("app2", "worker-blue", {"state": "exited"}, "worker on app2 is Exited (0) 5 seconds ago"),
        ("app2", "api-blue", {"health": "unhealthy"}, "api on app2 is Up 5 seconds (unhealthy)"),
        ("app1", "nats", {"state": "exited"}, "nats on app1 is Exited (0) 5 seconds ago"),
        ("app1", "api-blue", {"release": "0.9.0"}, "api-blue on app1 is release 0.9.0, not 1.0.0"),
        ("app1", "scheduler-green", {}, "scheduler-green runs on app1, and should stand still"),
    ],
)
def test_a_container_that_is_not_as_it_should_be_is_off(world, host, name, changes, says):
    container(world, host, name, **changes)
    said = world.ok(f"status {SYSTEM}")
    assert said["off"] == [says]
    assert f"  off         1 thing: {says}" in said["message"].splitlines()


def test_a_host_that_is_away_is_named_and_the_others_are_told(world):
    world.away("app2")
    lines = screen(world)
    assert "  api         app1 blue ready   app2 blue ?" in lines
    assert any(line.startswith("  app2        not reached: app2 (app2) cannot be reached from edge1") for line in lines)
    assert "  off         1 thing: app2 is not reached" in lines


def written(world, host, **changes):
    """A host's state.json says something else."""
    state = world.root(host) / f"var/lib/changeover/{SYSTEM}/state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), **changes}))


def test_hosts_that_know_something_else_are_drift(world):
    settings = world.root("edge2") / f"etc/changeover/{SYSTEM}.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "lease": 30}))
    written(world, "app1", seq=99)
    written(world, "app2", generation=0)
    said = world.ok(f"status {SYSTEM}")
    assert said["drift"] == said["off"] == [
        "edge2 has the settings of another deploy than edge1",
        f"app1 knows a newer state (seq 99) than edge1 (seq {said['seq']})",
        "app2 knows generation 0, and 1 is live",
    ]
    assert "  drift       edge2 has the settings of another deploy than edge1" in said["message"].splitlines()


def test_a_state_that_only_the_coordinator_needs_is_no_drift(world):
    world.ok(f"hold {SYSTEM} 9.9")
    world.ok(f"stage {SYSTEM} --release 1.1.0")
    said = world.ok(f"status {SYSTEM}")
    assert said["drift"] == [] and "  held        9.9: " in said["message"]


def test_what_starts_beside_the_live_slot_on_its_way_is_nothing_off(world):
    world.stage("1.1.0", "green")
    container(world, "app1", "worker-green", release="1.1.0")
    assert world.ok(f"status {SYSTEM}")["off"] == []


def test_a_host_that_must_still_be_told_is_said_once(world):
    written(world, "app2", generation=0)
    written(world, "edge1", pending=[{"host": "app2", "services": [], "why": "its disk was full"}])
    said = world.ok(f"status {SYSTEM}")
    assert said["off"] == ["app2 is still to be told"] and "  to be told  app2: its disk was full" in said["message"]


def test_a_gateway_that_serves_something_else_is_drift(world):
    world.ok(f"maintenance {SYSTEM} on")
    (world.root("edge2") / f"srv/gateway/slots/{SYSTEM}/maintenance").unlink()
    assert world.ok(f"status {SYSTEM}")["drift"] == ["edge2 has the maintenance page off"]


@pytest.mark.parametrize("there", [True, False])
def test_of_a_release_that_is_stopped_it_is_said_whether_its_image_is_here(world, there):
    digest = "sha256:" + "a" * 64
    released(world)
    world.ok(f"drain {SYSTEM} --now")
    state = world.root("edge1") / f"var/lib/changeover/{SYSTEM}/state.json"
    for host in ("edge1", "edge2", "app1", "app2"):
        state = world.root(host) / f"var/lib/changeover/{SYSTEM}/state.json"
        values = json.loads(state.read_text())
        state.write_text(json.dumps({**values, "images": {"1.0.0": {"api": f"reg/api:1.0.0@{digest}"}}}))
        found = fakes.engine(world.root(host))
        if host == "app1" or there:
            found["images"][f"reg/api@{digest}"] = {"id": "one", "tags": ["reg/api:1.0.0"]}
        fakes.save(world.root(host), found)
    said = world.ok(f"status {SYSTEM}")
    where = "image here" if there else "image not on app2"
    assert f"previous 1.0.0 (blue, stopped, {where})" in said["message"].splitlines()[0]
    assert said["off"] == []
    assert said["message"].splitlines()[-1] == f"to go back: changeover rollback {SYSTEM}      (code only, about 12 s)"


def test_where_nobody_was_asked_nothing_is_said_to_be_well(world):
    said = world.ok(f"status {SYSTEM} --quick")
    assert said["off"] is None and said["drift"] is None and "drift" not in said["message"]
    world.away("edge1")
    copy = world.ok(f"status {SYSTEM}", host="app1")
    assert copy["off"] is None and "off  " not in copy["message"] and "this is the copy on app1" in copy["message"]


def test_a_clock_that_jumped_is_not_counted_from(world, monkeypatch):
    monkeypatch.setattr("hostcmd.show.time.time", lambda: 0.0)
    assert " UTC, by tester" in screen(world)[0]
