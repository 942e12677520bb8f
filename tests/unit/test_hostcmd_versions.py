"""Hosts and journals from before this host command: what an older one did not write is as if it were not there."""

import pytest

from hostcmd import peer, records
from tests.unit.hostcmd_support.seen import BLUE, GREEN, SWITCH, all_serve
from tests.unit.hostcmd_support.world import World, folder, stand_in

YOUNG = ("opened", "recreated", "rolled", "images", "tried", "lived")  # what the first host command did not know


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        made = World(base)
        made.install()
        made.stage("1.1.0", "green")
        yield made


def old(state, **changes):
    return {key: value for key, value in state.items() if key not in YOUNG} | changes


@pytest.mark.parametrize("kind, served", [("begin", BLUE), ("commit", GREEN)])
def test_a_change_that_an_older_command_left_half_way_is_settled(world, kind, served):
    world.ok(SWITCH)
    path = world.site().kept("journal.jsonl")
    entry = next(r for r in reversed(records.read(path)) if r["kind"] == "commit" and r["note"]["verb"] == "switch")
    world.ok("rollback tasktracker --no-hold")
    world.stage("1.1.0", "green")
    now = world.state()
    number = now["seq"] + 1
    after = old(entry["after"], generation=now["generation"] + 1, seq=number)
    body = {**entry, "n": number, "before": old(now), "after": after, "kind": kind}
    records.append(path, {key: value for key, value in body.items() if key not in ("check", "paged")})
    world.ok("recover tasktracker")
    all_serve(world, served)
    assert world.type("rollback tasktracker")[0] == (0 if kind == "commit" else 1)
    all_serve(world, BLUE)


def test_before_nginx_starts_an_older_journal_is_read_too(world):
    now = world.state()
    after = old(now, generation=now["generation"] + 1)
    entry = {"n": now["seq"] + 1, "note": {"verb": "switch", "txn": "T1"}, "before": old(now), "after": after}
    records.append(world.site().kept("journal.jsonl"), {**entry, "kind": "commit"})
    assert "generation 2" in world.ok("recover tasktracker --gateway")["message"]


def test_before_nginx_starts_an_older_coordinator_is_understood(world, monkeypatch):
    monkeypatch.setitem(peer.VERBS, "state", lambda site, request: {"state": old(peer.copy_of_state(site))})
    assert "generation 1" in world.ok("recover tasktracker --gateway", host="edge2")["message"]


@pytest.mark.parametrize("verb", ["prepare", "flip", "adopt"])
def test_a_host_understands_an_older_coordinator(world, verb):
    now = world.state()
    told = old(now, seq=now["seq"] + 1, generation=now["generation"] + 1)
    request = {"verb": verb, "system": "tasktracker", "state": told, "services": ["api"]}
    assert peer.answer(str(world.root("edge2")), request) == {"ok": True}


def test_a_host_refuses_a_state_that_is_none(world):
    for state in ({}, None, {**world.state(), "schema": 2}):
        said = peer.answer(str(world.root("edge2")), {"verb": "flip", "system": "tasktracker", "state": state})
        assert (said["ok"], said["code"]) == (False, 2), said
