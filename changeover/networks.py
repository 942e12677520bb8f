"""Who asks whom: which services are given the address of another, and the network that follows from it. Pure."""

from __future__ import annotations

import hashlib
import re

from changeover.plan import Plan, placeholders
from changeover.settings import App, Nats, Postgres, Service
from changeover.texts import address

BACK, FRONT = "back", "front"
SPELLED = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):([0-9]{1,5})")  # an address and a port in a text
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
    """The network of a service on its hosts: `front` for what has routes, asks nobody and is asked by nobody."""
    service = plan.systems[system].services[name]
    if not isinstance(service, App) or not service.routes or asked(plan, system, service):
        return BACK
    others = ((other, one) for other, settings in plan.systems.items() for one in settings.services.values())
    return BACK if any((system, name) in asked(plan, *other) for other in others) else FRONT


def asked(plan: Plan, system: str, service: Service) -> set[tuple[str, str]]:
    """(system, service) of all whose address a service of a system is given."""
    texts = texts_of(service)
    named = (word.partition(".") for text in texts for word in placeholders(text))
    found = {(system, name) for kind, _, name in named if kind == "address"}
    found |= {
        (system, name)  # by its name in their network, as compose has it: redis://redis:6379, or redis alone
        for name, one in plan.systems[system].services.items()
        if one is not service and any(re.search(rf"(?:^|//|[@,=\s]){name}(?:$|[:/,\s])", text) for text in texts)
    }
    spelled = {(address, int(port)) for text in texts for address, port in SPELLED.findall(text)}
    if spelled:
        hosts = {host.address: host.name for host in plan.hosts.values()}
        found |= {
            (other, name)
            for address, port in spelled
            if address in hosts
            for other in plan.systems
            for name, one in plan.services_on(other, hosts[address]).items()
            if port in ports(one)
        }
    return found


def kept(service: Service) -> bool:
    """Whether only containers of the network `back` may reach a service's ports, on its own host."""
    return isinstance(service, Postgres | Nats)


def bridge(system: str, network: str) -> str:
    """The interface of a network of a system: of a name that a firewall can know."""
    name = f"br-{system}-{network[0]}"
    short = f"br-{system[:5]}{hashlib.sha256(system.encode()).hexdigest()[:4]}-{network[0]}"
    return name if len(name) <= LONGEST else short
