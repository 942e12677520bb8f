"""Which slots gates ask of a release, and by which paths; the gates of a system that gives none."""

from __future__ import annotations

from plans import on_all, staging_hosts
from watching import Change, shop

from changeover import fleet, gate_asks
from changeover.gate_asks import Sides
from changeover.live import Live, SlotState
from changeover.plan import Plan
from changeover.routes import service_of

PROBED = on_all(
    "shop.release", {"probe": [{"path": "/api/x"}, {"path": "/api/y", "method": "POST", "json": {"n": "{id}"}}]}
)

LIVE = Live(
    release={"live": "1.0.0"},  # type: ignore[arg-type]
    slots={"api": SlotState(live="blue", blue="1.0.0"), "clock": SlotState(live="green", green="1.0.0")},
)


def with_run(plan: Plan, release: str | None) -> Plan:
    return Plan(
        plan.fleet, plan.systems, plan.hosts, plan.run.model_copy(update={"release": release, "system": "shop"})
    )


def test_a_release_goes_from_the_live_slots_to_the_others() -> None:
    found = gate_asks.sides(with_run(shop(), "1.1.0"), "shop", LIVE)
    assert found == Sides({"api": "green", "clock": "blue"}, {"api": "blue", "clock": "green"}, "1.1.0", "1.0.0")
    assert gate_asks.before(shop(), "shop", LIVE) == Sides({"api": "blue", "clock": "green"}, {}, "1.0.0", "1.0.0")


def test_a_service_that_is_new_has_no_old_slot_and_one_that_stays_serves_where_it_is() -> None:
    live = LIVE.model_copy(update={"slots": {"api": LIVE.slots["api"]}})
    found = gate_asks.sides(with_run(shop(), None), "shop", live)
    assert found.new == {"api": "blue", "clock": "blue"} and found.old == {}
    assert gate_asks.before(shop(), "shop", live).new == {"api": "blue"}


def test_the_defaults_are_for_systems_that_are_watched_long_enough() -> None:
    def names(*changes: Change) -> list[str]:
        return [one.name for one in gate_asks.gates(shop(*changes), "shop")]

    assert names() == ["no_5xx", "p95"]
    assert names(on_all("shop.release", {"soak": "15s"})) == ["no_5xx", "p95"], "three looks of 5 s just fit"
    assert names(on_all("shop.release", {"soak": "14s"})) == []
    assert names(on_all("shop.gates", [])) == []
    assert names(PROBED) == ["no_5xx", "p95"]
    only_posts = on_all("shop.release", {"probe": [{"path": "/api/y", "method": "POST", "json": {"n": "{id}"}}]})
    assert names(only_posts) == ["no_5xx", "p95"], "its health path is a GET"
    assert gate_asks.gates(shop(), "hello") == [], "nothing of it is switched"


def test_a_path_is_asked_of_its_service_as_the_service_sees_it() -> None:
    system = fleet.load(staging_hosts()).systems["tasktracker"]
    assert service_of(system, "/api/health") == ("api", "/api/health")
    assert service_of(system, "/dashboard/") == ("dashboard", "/")
    assert service_of(system, "/dashboard") == ("dashboard", "/")
    assert service_of(system, "/dashboard?x=1") == ("dashboard", "/?x=1")
    assert service_of(system, "/nowhere") is None
