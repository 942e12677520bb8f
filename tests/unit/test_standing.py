"""changeover/standing.py: whether what went live stays up, from what hosts say of their containers."""

from __future__ import annotations

from typing import Any

import pytest
from plans import good

from changeover import fleet
from changeover.standing import AWAY, Standing, expected, uptime, youngest

API = ("app1", "api-green")
WORKER = ("app2", "worker-green")


def hosts(*said: tuple[tuple[str, str], str], away: tuple[str, ...] = ()) -> dict[str, Any]:
    """What hosts say: each container with the engine's words."""
    found: dict[str, Any] = {name: {"reachable": True, "containers": {}} for name in ("app1", "app2")}
    for (host, name), status in said:
        state = "running" if status.startswith("Up") else status.split()[0].lower()
        healthy = state == "running" and "(unhealthy)" not in status and "starting" not in status
        found[host]["containers"][name] = {"state": state, "healthy": healthy, "status": status}
    return found | {host: {"reachable": False, "error": "no route"} for host in away}


def looks(*statuses: str) -> list[list[str]]:
    standing = Standing()
    return [standing.look({API}, hosts((API, status))) for status in statuses]


@pytest.mark.parametrize(
    "status, found",
    [
        ("Up Less than a second (health: starting)", 0),
        ("Up 1 second", 1),
        ("Up 42 seconds (healthy)", 42),
        ("Up About a minute (healthy)", 60),
        ("Up 5 minutes", 300),
        ("Up About an hour (unhealthy)", 3600),
        ("Up 3 days", 259200),
        ("Up 2 weeks", 1209600),
        ("Up 5 fortnights", None),
        ("Exited (1) 5 seconds ago", None),
        ("", None),
    ],
)
def test_how_long_the_engine_says_it_is_up(status: str, found: int | None) -> None:
    assert uptime(status) == found


@pytest.mark.parametrize(
    "statuses",
    [
        ["Up 58 seconds (healthy)", "Up About a minute (healthy)", "Up 2 minutes (healthy)"],
        ["Up 1 second (health: starting)", "Up 6 seconds (health: starting)", "Up 11 seconds (healthy)"],
        ["Up 3 seconds", "Up 3 seconds", "Up 8 seconds"],
    ],
)
def test_what_stays_up_is_no_reason(statuses: list[str]) -> None:
    assert looks(*statuses) == [[], [], []]


@pytest.mark.parametrize(
    "status, why",
    [
        ("Exited (3) 2 seconds ago", "api-green on app1 is not up: Exited (3) 2 seconds ago"),
        ("Restarting (1) Less than a second ago", "is not up: Restarting (1)"),
        ("Up 2 minutes (unhealthy)", "is not up: Up 2 minutes (unhealthy)"),
        ("Up 2 seconds (healthy)", "was healthy, and has started again since: Up 2 seconds (healthy)"),
        ("Up 1 second (health: starting)", "was healthy, and has started again since"),
    ],
)
def test_what_breaks_is_a_reason(status: str, why: str) -> None:
    good_one, bad = looks("Up 30 seconds (healthy)", status)
    assert good_one == [] and len(bad) == 1 and why in bad[0]


def test_a_container_that_is_not_there_is_a_reason() -> None:
    assert Standing().look({API}, hosts()) == ["api-green on app1 is not up: not there"]


def test_a_host_may_miss_a_look_or_two_but_no_more() -> None:
    standing, good_one, away = Standing(), hosts((API, "Up 9 minutes")), hosts(away=("app1",))
    assert [standing.look({API}, found) for found in (away, away, good_one, away, away)] == [[]] * 5
    assert standing.look({API}, away) == ["app1 does not answer any more: no route"]
    assert AWAY == 3


def test_a_host_that_cannot_do_what_it_is_told_speaks_against_the_release() -> None:
    """Its disk is full: what runs there is right for now, and nobody knows whether it is after a reboot."""
    standing, well = Standing(), hosts((API, "Up 9 minutes"))
    owed = [{"host": "data1", "services": [], "why": "data1: No space left on device"}]
    well["data1"] = {"reachable": True, "containers": {}}
    looks = [standing.look({API}, well, (), one) for one in (owed, owed, [], owed, owed)]
    assert looks == [[]] * 5 and standing.missing == ["data1"]
    (why,) = standing.look({API}, well, (), owed)
    assert why == "data1 did not do what it was told, and does not yet: data1: No space left on device"
    assert standing.look({API}, well) == [] and not standing.missing


def test_what_was_never_healthy_is_starting_whatever_its_checks_say() -> None:
    """A service that needs longer than its health check's retries; the caller knows its start_timeout."""
    standing = Standing()
    slow = [standing.look({WORKER}, hosts((WORKER, f"Up {s} seconds (unhealthy)"))) for s in (40, 45)]
    assert slow == [[], []] and standing.starting == {WORKER}
    assert standing.look({WORKER}, hosts((WORKER, "Up 50 seconds (healthy)"))) == [] and not standing.starting
    (why,) = standing.look({WORKER}, hosts((WORKER, "Up 55 seconds (unhealthy)")))
    assert why == "worker-green on app2 is not up: Up 55 seconds (unhealthy)"


def test_who_is_still_starting_is_known() -> None:
    standing = Standing()
    both = hosts((API, "Up 9 minutes"), (WORKER, "Up 2 seconds (health: starting)"))
    assert standing.look({API, WORKER}, both) == [] and standing.starting == {WORKER}
    later = hosts((API, "Up 9 minutes"), (WORKER, "Up 7 seconds (healthy)"))
    assert standing.look({API, WORKER}, later) == [] and not standing.starting


def test_only_live_slots_of_services_with_slots_are_expected() -> None:
    slots = {"api": {"live": "green"}, "web": {"live": None}, "gone": {"live": "blue"}}
    assert expected(fleet.load(good()), "shop", slots) == {("app1", "api-green"): 120.0, ("app2", "api-green"): 120.0}


def test_a_host_that_went_ahead_is_expected_to_run_the_other_slot() -> None:
    """In the middle of a rolling release."""
    slots = {"api": {"live": "green"}, "clock": {"live": "green"}}
    found = expected(fleet.load(good()), "shop", slots, staged=["api"], rolled=["app1"])
    assert set(found) == {("app1", "api-blue"), ("app2", "api-green"), ("app1", "clock-green")}


@pytest.mark.parametrize(
    "status, most",
    [("Up Less than a second", 1), ("Up 9 seconds", 10), ("Up About a minute", 120), ("Up 3 minutes", 240), ("", None)],
)
def test_how_young_it_is_at_most(status: str, most: int | None) -> None:
    assert youngest(status) == most


@pytest.mark.parametrize(
    "status, served, again",
    [
        ("Up 9 seconds (healthy)", 30.0, True),
        ("Up 9 seconds (health: starting)", 30.0, True),
        ("Up 30 seconds (healthy)", 30.5, False),
        ("Up About a minute (healthy)", 100.0, False),
        ("Up About a minute (healthy)", 121.0, True),
        ("Up 9 seconds (healthy)", 0.0, False),
    ],
)
def test_what_started_again_before_the_first_look_is_younger_than_its_traffic(
    status: str, served: float, again: bool
) -> None:
    """The smoke tests come before the soak: what crashed meanwhile, and is healthy again, crashed all the same."""
    (line,) = Standing().look({API}, hosts((API, status)), older={API}, served=served) or [""]
    assert ("has started again since the switch" in line) is again
    assert Standing().look({API}, hosts((API, status)), served=served) == [], "a worker starts with the switch"
