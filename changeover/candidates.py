"""Which slots of a host are tested before a switch: those that a release was given, and with which words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from changeover.live import Live, places
from changeover.plan import Plan
from changeover.settings import App, Integration
from changeover.settings_tests import OWN, Program
from changeover.stack import wanted_release


@dataclass(frozen=True)
class Candidate:
    """An idle slot: its service, slot and release, its port and that of the live slot (None: none) on one host."""

    service: str
    slot: str
    release: str
    address: str
    port: int
    other: int | None
    test: Integration


def candidates(plan: Plan, system: str, host: str, live: Live) -> list[Candidate]:
    """The candidates on a host whose service has tests. Arguments: the plan; names; what is live."""
    found = []
    for name, service in plan.services_on(system, host).items():
        if not isinstance(service, App) or not service.test or not service.slots or name not in plan.switched(system):
            continue
        ports = {"blue": service.slots.blue, "green": service.slots.green}
        roles = {place.role: place for place in places(live, name, wanted_release(plan, system, live))}
        if one := roles.get("candidate"):
            before = roles.get("live")
            stopped = plan.systems[system].release.strategy == "recreate"
            other = ports[before.slot] if before and not stopped else None
            address = plan.hosts[host].address
            found.append(Candidate(name, one.slot, one.release, address, ports[one.slot], other, service.test))
    return found


def variables(
    own: Mapping[str, str], program: Program, given: Mapping[str, str], secrets: Mapping[str, str], hide: set[str]
) -> dict[str, str]:
    """The environment of a team's program: this one's, without other secrets and without a proxy for the tunnel.

    Arguments: this process's; the settings; BASE_URL and the like; values of its secrets; names of all secrets.
    """
    plain = {name: value for name, value in own.items() if name not in hide | set(OWN)}
    direct = {name: ",".join(filter(None, [own.get(name), "127.0.0.1"])) for name in ("NO_PROXY", "no_proxy")}
    return plain | direct | program.env | dict(given) | dict(secrets)
