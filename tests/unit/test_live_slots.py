"""Slots that serve keep their ports; what changes under users is refused, with the way that works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from plans import Hosts, good, on_all

from changeover import fleet
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from changeover.slots import moved
from facts.compose import SlotPorts

LIVE = Live(
    generation=7,
    release=Releases(live="1.0.0"),
    slots={name: SlotState(live="blue", blue="1.0.0") for name in ("api", "clock")},
)


def plan(asked: str | None = "1.1.0", change: Callable[[Hosts], None] = lambda hosts: None) -> Plan:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    change(hosts)
    return fleet.load(hosts)


PORTS = {"api-blue": {"8000": "18000"}, "api-green": {"8000": "18001"}}


@pytest.mark.parametrize(
    "asked, path, value, words",
    [
        (None, "slots.blue", 19000, "slots.blue: api serves on port 18000, and the settings say 19000"),
        ("1.1.0", "slots.blue", 19000, "write 18000 again, and change green together with a release"),
        (None, "slots.green", 19001, "the way back to 0.9.0 is on port 18001, and the settings say 19001"),
        ("1.1.0", "slots.green", 19001, ""),
        (None, "slots.green", 18001, ""),
    ],
)
def test_ports_of_slots_that_serve_are_not_moved(asked: str | None, path: str, value: int, words: str) -> None:
    live = LIVE.model_copy(
        update={"slots": {**LIVE.slots, "api": SlotState(live="blue", blue="1.0.0", green="0.9.0")}}
    )
    found = moved(plan(asked, on_all(f"shop.services.api.{path}", value)), "shop", "app1", live, PORTS)
    assert len(found) == bool(words) and all(words in line for line in found)
    page = live.model_copy(update={"maintenance": {"why": "moving"}})
    if value == 19000:
        assert moved(plan(asked, on_all(f"shop.services.api.{path}", value)), "shop", "app1", page, PORTS) == []


def test_slots_that_serve_are_not_taken_away() -> None:
    def change(hosts: Hosts) -> None:
        for _, _, data in hosts:
            if "shop" in data:
                del data["shop"]["services"]["api"]["slots"]
                data["shop"]["services"]["api"]["publish"] = 18000

    (line,) = moved(plan(None, change), "shop", "app1", LIVE, PORTS)
    assert "api serves on port 18000, and the settings take its slots away" in line
    assert "sudo changeover maintenance shop on" in line


def test_what_serves_nothing_here_is_not_asked() -> None:
    assert moved(plan(None, on_all("shop.services.api.slots.blue", 19000)), "shop", "edge1", LIVE, {}) == []


def test_ports_are_read_from_the_engine() -> None:
    lines = [
        'api-blue {"8000/tcp":[{"HostIp":"10.0.0.12","HostPort":"18000"}]}',
        "worker-blue {}",
        "odd null",
        "Error: no such container",
    ]
    found = SlotPorts().process(lines)
    assert found == {"api-blue": {"8000": "18000"}, "worker-blue": {}, "odd": {}}
