"""Which (host, system, service) a test is about: pure, from the plan, so that a failure names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from changeover import gateway
from changeover.fleet import Plan
from changeover.settings import App, Nats, Postgres, Tls

GATEWAY = "gateway"  # compose project and service of the nginx that all systems share
NGINX = "nginx"


class Place(NamedTuple):
    """Where something runs; `part` is a service, or a route's prefix."""

    machine: str
    system: str = ""
    part: str = ""

    def __str__(self) -> str:
        return ":".join(word for word in self if word)


def machines(plan: Plan) -> list[Place]:
    """Every host."""
    return [Place(name) for name in plan.hosts]


def members(plan: Plan) -> list[Place]:
    """Every system on every host of its group."""
    return [Place(name, system) for name in plan.hosts for system in plan.systems_on(name)]


def services(plan: Plan) -> list[Place]:
    """Every service on every host that runs it, and the gateway's nginx."""
    found = [Place(*member[:2], key) for member in members(plan) for key in plan.services_on(member.system, member[0])]
    return found + [Place(edge.machine, GATEWAY, NGINX) for edge in edges(plan)]


def leaders(plan: Plan) -> list[Place]:
    """Every system, on the host whose word holds."""
    return [Place(plan.coordinator(system).name, system) for system in plan.systems]


def slotted(plan: Plan) -> list[Place]:
    """Every service with two slots on every host that runs it."""
    return [p for p in services(plan) if p.system != GATEWAY and p.part in plan.switched(p.system)]


def singletons(plan: Plan) -> list[Place]:
    """Every service that must run once in its whole system."""
    found = [p for p in services(plan) if p.system != GATEWAY]
    return [p for p in found if getattr(plan.systems[p.system].services[p.part], "singleton", False)]


def peers(plan: Plan, machine: str) -> list[str]:
    """The hosts that share a system with a host, itself among them; none for a host without systems."""
    own = set(plan.hosts[machine].groups) & plan.systems.keys()
    return [name for name, host in plan.hosts.items() if own & set(host.groups)]


def peered(plan: Plan) -> list[Place]:
    """Every host that others may ask."""
    return [place for place in machines(plan) if len(peers(plan, place.machine)) > 1]


def postgres(plan: Plan) -> list[Place]:
    """Every PostgreSQL."""
    return [p for p in services(plan) if _is(plan, p, Postgres)]


def nats(plan: Plan) -> list[Place]:
    """Every NATS."""
    return [p for p in services(plan) if _is(plan, p, Nats)]


def _is(plan: Plan, place: Place, kind: type) -> bool:
    return place.system != GATEWAY and isinstance(plan.systems[place.system].services[place.part], kind)


def edges(plan: Plan) -> list[Place]:
    """Every gateway."""
    return [Place(name) for name, host in plan.hosts.items() if plan.fleet.gateway.on in host.groups]


def sites(plan: Plan) -> list[Place]:
    """Every system that a gateway serves."""
    return [Place(edge.machine, system) for edge in edges(plan) for system in gateway.systems(plan, edge.machine)]


def tls_sites(plan: Plan) -> list[Place]:
    """Those with a certificate."""
    return [site for site in sites(plan) if plan.systems[site.system].tls]


def given_sites(plan: Plan) -> list[Place]:
    """Those whose certificate is the team's own files."""
    return [site for site in tls_sites(plan) if isinstance(plan.systems[site.system].tls, Tls)]


def routes(plan: Plan) -> list[Place]:
    """Every route of every site."""
    return [
        Place(site.machine, site.system, prefix)
        for site in sites(plan)
        for service in plan.systems[site.system].services.values()
        if isinstance(service, App)
        for prefix in service.routes
    ]


def asset_routes(plan: Plan) -> list[Place]:
    """The routes with a folder to cache."""
    return [place for place in routes(plan) if route_of(plan, place)[1].assets]


def route_of(plan: Plan, place: Place):
    """(service, route) behind a place of routes()."""
    for service in plan.systems[place.system].services.values():
        if isinstance(service, App) and place.part in service.routes:
            return service, service.routes[place.part]
    raise KeyError(place)


# argument of a test -> (its places, what is missing where there are none)
PLACES: dict[str, tuple[Callable[[Plan], list[Place]], str]] = {
    "machine": (machines, "host"),
    "member": (members, "host with a system"),
    "leader": (leaders, "system"),
    "service": (services, "service"),
    "slotted": (slotted, "service with slots"),
    "singleton": (singletons, "service that runs once"),
    "peered": (peered, "host with peers"),
    "database": (postgres, "service of kind postgres"),
    "broker": (nats, "service of kind nats"),
    "edge": (edges, "gateway"),
    "site": (sites, "system behind a gateway"),
    "tls_site": (tls_sites, "system with tls"),
    "given_site": (given_sites, "system with tls by files"),
    "route": (routes, "route"),
    "asset_route": (asset_routes, "route with assets"),
}
