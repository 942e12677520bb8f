"""Who asks whom: which services are given the address of another, and the network that follows from it. Pure."""

from __future__ import annotations

import hashlib

from changeover.plan import Plan, placeholders
from changeover.settings import App, Nats, Postgres, Service
from changeover.texts import address

BACK, FRONT = "back", "front"
LONGEST = 15  # letters of the name of a network interface


def users(plan: Plan, system: str, name: str, host: str) -> list[tuple[str, str]]:
    """(system, service) of all that are given the address of a service on a host: {address.NAME}, or spelled out."""
    ways = {f"{plan.hosts[host].address}:{port}" for port in ports(plan.systems[system].services[name])}
    led_here = bool(ways) and address(plan, system, name) in ways
    return [
        (other, key)
        for other, settings in plan.systems.items()
        for key, service in settings.services.items()
        if any(way in text for text in texts_of(service) for way in ways)
        or (led_here and other == system and f"address.{name}" in placeholders(" ".join(texts_of(service))))
    ]


def ports(service: Service) -> list[int]:
    """The host ports of a service on the private address: both slots', or the published one."""
    if isinstance(service, App) and service.slots:
        return [service.slots.blue, service.slots.green]
    return [service.publish] if service.publish else []


def texts_of(service: Service) -> list[str]:
    """The texts that may hold addresses."""
    given = (service.env, service.secrets, service.secret_env)
    return [text for one in given if isinstance(one, dict) for text in one.values()]


def network(plan: Plan, system: str, name: str) -> str:
    """The network of a service on its hosts: `back` for databases, brokers and whatever asks another or is asked."""
    service = plan.systems[system].services[name]
    if kept(service) or any("address." in word for text in texts_of(service) for word in placeholders(text)):
        return BACK
    if any(users(plan, system, name, host.name) for host in plan.hosts_of(system, name)):
        return BACK
    asks = any((system, name) in users(plan, *other) for other in _services(plan)) if texts_of(service) else False
    return BACK if asks else FRONT


def kept(service: Service) -> bool:
    """Whether only containers of the network `back` may reach a service's ports, on its own host."""
    return isinstance(service, Postgres | Nats)


def bridge(system: str) -> str:
    """The interface of a system's network `back`: of a name that a firewall can know."""
    name = f"br-{system}-{BACK[0]}"
    short = f"br-{system[:5]}{hashlib.sha256(system.encode()).hexdigest()[:4]}-{BACK[0]}"
    return name if len(name) <= LONGEST else short


def _services(plan: Plan) -> list[tuple[str, str, str]]:
    return [
        (system, name, host.name)
        for system, settings in plan.systems.items()
        for name in settings.services
        for host in plan.hosts_of(system, name)
    ]
