"""Which slot runs which release, what a run starts, what it only makes, and what it leaves as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plans import Hosts, good, on_all, staging_hosts

from changeover import fleet
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.stack import CONFIG, ContainerSpec, containers, drifted, rolls_out, unplaced
from operations import database, stack
from operations.release import new_services
from operations.stack import ready_checks

SECRETS = Secrets(
    Path("/nonexistent"),
    {"POSTGRES_PASSWORD": "p", "TASKTRACKER_DB_PASSWORD": "o", "ADMIN_TOKEN": "a", "SHOP_DB_PASSWORD": "s"},
)
SWITCHED = ["api", "worker", "scheduler", "dashboard"]
FIRST = Live()


def state(live: str, previous: str | None = None, **changes: Any) -> Live:
    """A tasktracker whose live release is in green, and the one before in blue."""
    slots = {name: SlotState(live="green", green=live, blue=previous) for name in SWITCHED}
    return Live(**{"generation": 7, "release": Releases(live=live, previous=previous), "slots": slots, **changes})


def put_back(name: str) -> Live:
    """A service was taken out of the settings at 1.0.0 and is back: its slots still say what was live then."""
    found = state("1.1.0", "1.0.0")
    return found.model_copy(update={"slots": {**found.slots, name: SlotState(live="green", green="1.0.0")}})


def plan(release: str | None = None, change: Callable[[Hosts], None] = lambda hosts: None) -> Plan:
    hosts = staging_hosts()
    if release:
        on_all("release", release)(hosts)
    change(hosts)
    return fleet.load(hosts)


def specs(found: Plan, live: Live, host: str = "app1") -> dict[str, ContainerSpec]:
    return {spec.name: spec for spec in containers(found, "tasktracker", host, live, SECRETS)}


def roles(found: Plan, live: Live, host: str = "app1") -> dict[str, tuple[str, str]]:
    return {name: (spec.role, spec.release) for name, spec in specs(found, live, host).items()}


# --- roles


def test_the_first_installation_is_a_candidate_in_blue() -> None:
    assert roles(plan(), FIRST) == {
        "api-blue": ("candidate", "1.0.0"),
        "worker-blue": ("candidate", "1.0.0"),
        "scheduler-blue": ("candidate", "1.0.0"),
    }
    assert roles(plan(), FIRST, "data1") == {"postgres": ("live", "1.0.0"), "nats": ("live", "1.0.0")}


def test_another_release_is_a_candidate_beside_the_live_one() -> None:
    assert roles(plan("1.1.0"), state("1.0.0", "0.9.0")) == {
        "api-green": ("live", "1.0.0"),
        "api-blue": ("candidate", "1.1.0"),
        "worker-green": ("live", "1.0.0"),
        "worker-blue": ("candidate", "1.1.0"),
        "scheduler-green": ("live", "1.0.0"),
        "scheduler-blue": ("candidate", "1.1.0"),
    }


def test_without_a_release_the_live_one_stays_and_the_one_before_is_the_way_back() -> None:
    found = roles(plan(), state("1.1.0", "1.0.0"))
    assert found["api-green"] == ("live", "1.1.0") and found["api-blue"] == ("previous", "1.0.0")


def test_new_settings_are_a_candidate_of_the_same_release() -> None:
    found = roles(plan(), state("1.1.0", "1.0.0", drifted=True))
    assert found["api-green"] == ("live", "1.1.0") and found["api-blue"] == ("candidate", "1.1.0")


def test_what_has_slots_is_what_runs_the_release() -> None:
    assert plan().switched("tasktracker") == SWITCHED
    assert plan().switched("hello") == [], "it is published; there is no second port"
    hosts = good()
    assert fleet.load(hosts).switched("shop") == ["api", "clock"]
    on_all("shop.services.clock.image", "{mirror}/cron:3")(hosts)
    assert fleet.load(hosts).switched("shop") == ["api"], "its image is the same with each release"
    on_all("shop.services.clock.image", "{registry}/clock:{release}")(hosts)
    on_all("shop.services.clock.layer", 1)(hosts)
    assert fleet.load(hosts).switched("shop") == ["api"], "layer 1 is below the releases"


def test_a_service_that_is_back_is_a_candidate_beside_what_may_still_serve() -> None:
    assert roles(plan(), put_back("dashboard"), "edge1") == {
        "dashboard-green": ("live", "1.0.0"),
        "dashboard-blue": ("candidate", "1.1.0"),
    }


# --- what a run does


@pytest.mark.parametrize(
    "release, live, rolls, missing, new",
    [
        (None, FIRST, True, SWITCHED, []),
        ("1.1.0", FIRST, True, SWITCHED, []),
        (None, state("1.1.0"), False, [], []),
        ("1.1.0", state("1.1.0"), False, [], []),
        ("1.2.0", state("1.1.0"), True, [], []),
        (None, state("1.1.0", drifted=True), True, [], []),
        (None, state("1.1.0", slots={"api": SlotState(live="blue", blue="1.1.0")}), True, SWITCHED[1:], SWITCHED[1:]),
        ("1.2.0", state("1.1.0", slots={"api": SlotState(live="blue", blue="1.1.0")}), True, SWITCHED[1:], []),
        (None, state("1.1.0", slots={}, drifted=True), True, SWITCHED, []),
        (None, put_back("dashboard"), True, ["dashboard"], ["dashboard"]),
        ("1.2.0", put_back("dashboard"), True, ["dashboard"], []),
    ],
    ids=[
        "first installation",
        "first installation of a release",
        "nothing new",
        "live already",
        "next release",
        "new settings",
        "new services",
        "next release with new services",
        "new settings and services",
        "a service that is back",
        "next release with a service that is back",
    ],
)
def test_whether_a_run_ends_with_a_switch(
    release: str | None, live: Live, rolls: bool, missing: list[str], new: list[str]
) -> None:
    found = plan(release)
    assert rolls_out(found, "tasktracker", live) is rolls
    assert unplaced(found, "tasktracker", live) == missing
    assert new_services(found, "tasktracker", live) == new


def running(found: dict[str, ContainerSpec]) -> dict[str, str]:
    """The labels of containers that were made from these."""
    return {name: spec.body["labels"][CONFIG] for name, spec in found.items() if spec.slot}


@pytest.mark.parametrize(
    "path, value",
    [
        ("memory", "3G"),
        ("env", {"LOG_LEVEL": "DEBUG"}),
        ("stop_grace", "40s"),
        ("image", "{registry}/other:{release}"),
        ("secrets", {}),
    ],
)
def test_other_settings_of_a_live_slot_are_seen(path: str, value: Any) -> None:
    before = running(specs(plan(), state("1.1.0")))
    after = specs(plan(None, on_all(f"tasktracker.services.worker.{path}", value)), state("1.1.0"))
    assert drifted(list(after.values()), before) == ["worker-green"]


def test_a_changed_secret_is_seen() -> None:
    before = running(specs(plan(), state("1.1.0")))
    other = Secrets(Path("/nonexistent"), {"TASKTRACKER_DB_PASSWORD": "o", "ADMIN_TOKEN": "another"})
    after = containers(plan(), "tasktracker", "app1", state("1.1.0"), other)
    assert drifted(after, before) == ["api-green", "worker-green", "scheduler-green"]


def test_a_slot_that_was_switched_to_is_not_other_settings() -> None:
    """Blue and green of one release have one digest; what is not there, or not live, has none to compare."""
    live = state("1.1.0", "1.1.0")
    found = specs(plan(), live)
    labels = running(found)
    assert labels["api-blue"] == labels["api-green"]
    assert drifted(list(found.values()), labels) == drifted(list(found.values()), {}) == []
    assert drifted(list(found.values()), labels | {"api-blue": "old"}) == []


# --- made, started, asked, left alone


class Steps:
    """What a layer's operations were given, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.made: list[str] = []
        self.up: list[str] = []
        self.asked: list[str] = []
        self.given: list[str] = []
        monkeypatch.setattr(stack, "given", lambda name, system: self.given.append(system))
        monkeypatch.setattr(stack, "tree", lambda **_: None)
        monkeypatch.setattr(stack.compose, "made", lambda services, **_: self.made.extend(services))
        monkeypatch.setattr(stack.compose, "up", lambda services, **_: self.up.extend(services))
        monkeypatch.setattr(stack.ready, "answers", lambda checks, **_: self.asked.extend(c["name"] for c in checks))

    def of(self, found: Plan, live: Live, host: str, number: int) -> tuple[list[str], list[str], list[str]]:
        """(made, started, asked) in a layer on a host."""
        stack.layer._inner(found, "tasktracker", host, live, SECRETS, number)  # type: ignore[attr-defined]
        return self.made, self.up, self.asked


@pytest.mark.parametrize(
    "release, live, made, started, asked",
    [
        (None, FIRST, ["worker-blue", "scheduler-blue"], ["api-blue"], ["api-blue"]),
        ("1.2.0", state("1.1.0", "1.0.0"), ["worker-blue", "scheduler-blue"], ["api-blue"], ["api-blue"]),
        (None, state("1.1.0", drifted=True), ["worker-blue", "scheduler-blue"], ["api-blue"], ["api-blue"]),
        (None, state("1.1.0", "1.0.0"), [], ["api-green", "worker-green", "scheduler-green"], []),
    ],
    ids=["first installation", "next release", "new settings", "nothing new"],
)
def test_who_takes_traffic_is_started_beside_the_live_slot_and_the_others_wait_for_the_switch(
    monkeypatch: pytest.MonkeyPatch,
    release: str | None,
    live: Live,
    made: list[str],
    started: list[str],
    asked: list[str],
) -> None:
    steps = Steps(monkeypatch)
    assert steps.of(plan(release), live, "app1", 2) == (made, started, asked)
    assert steps.given == ["tasktracker"] * bool(made), "what runs already needs no staging"


def test_the_first_layer_is_started_also_while_a_release_rolls_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Steps(monkeypatch).of(plan("1.2.0"), state("1.1.0"), "data1", 1)
    assert found == ([], ["postgres", "nats"], [])


def test_a_singleton_is_only_made_on_its_own_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Steps(monkeypatch).of(plan(), FIRST, "app2", 2) == (["worker-blue"], ["api-blue"], ["api-blue"])


def test_a_host_without_the_layer_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "tree", lambda **_: pytest.fail("nothing of this layer runs here"))
    stack.layer._inner(plan(), "tasktracker", "data1", FIRST, SECRETS, 2)  # type: ignore[attr-defined]


def test_a_candidate_is_asked_on_its_own_address_and_port() -> None:
    found = containers(plan("1.2.0"), "tasktracker", "app2", state("1.1.0"), SECRETS)
    assert ready_checks(plan("1.2.0"), "tasktracker", "app2", found) == [
        {
            "name": "api-blue",
            "url": "http://172.30.99.13:18000/api/health/detailed",
            "json": {"status": "ok"},
            "limit": 60,
        }
    ]


def test_the_run_after_a_release_writes_the_same_file() -> None:
    def text(found: Plan, live: Live) -> object:
        made, _ = stack.stack_files(found, "tasktracker", list(specs(found, live).values()))
        return next(file.content for file in made if file.path.endswith("compose.yaml"))

    slots = {name: SlotState(live="blue", blue="1.1.0", green="1.0.0") for name in SWITCHED}
    after = Live(release=Releases(live="1.1.0", previous="1.0.0"), slots=slots)
    assert text(plan("1.1.0"), state("1.0.0")) == text(plan(), after)


# --- migrations


@pytest.mark.parametrize(
    "release, live, host, container",
    [
        (None, FIRST, "app1", "api-blue"),
        ("1.2.0", state("1.1.0"), "app1", "api-blue"),
        ("1.2.0", state("1.1.0"), "app2", None),
        (None, state("1.1.0", "1.0.0"), "app1", None),
        (None, state("1.1.0", drifted=True), "app1", None),
        (None, state("1.1.0", slots={"api": SlotState(live="blue", blue="1.1.0")}), "app1", None),
    ],
    ids=["first installation", "next release", "one host only", "nothing new", "new settings", "new services"],
)
def test_migrations_run_with_a_release_in_its_own_image(
    monkeypatch: pytest.MonkeyPatch, release: str | None, live: Live, host: str, container: str | None
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(stack, "tree", lambda **_: None)
    monkeypatch.setattr(database, "given", lambda **_: None)
    monkeypatch.setattr(database, "migrated", lambda container, **_: ran.append(container))
    database.migrate._inner(plan(release), "tasktracker", host, live, SECRETS)  # type: ignore[attr-defined]
    assert ran == ([container] if container else [])
