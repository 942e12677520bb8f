"""What a switch or a way back needs of the hosts, decided from what they say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from hostcmd.site import Site
from hostcmd.state import State, idle
from hostcmd.state import way_back as slots_back
from hostcmd.stop import FAILED, PERSON, UNREACHABLE, Stop

Looks = Mapping[str, Mapping[str, Any]]  # host -> what its `look` answers


@dataclass(frozen=True)
class Start:
    """A slot to be started on a host."""

    host: str
    service: str
    slot: str
    release: str | None


@dataclass(frozen=True)
class WayBack:
    """Slots to start and wait for before traffic goes back, and services that nothing is known of."""

    start: list[Start] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def hosts_of(site: Site, services: list[str]) -> list[str]:
    """All hosts of some services."""
    return sorted({host for name in services if name in site.services for host in site.services[name].hosts})


def objection(site: Site, state: State, looks: Looks, away: Mapping[str, Stop]) -> Stop | None:
    """Why the staged release cannot be switched to now; None when every host that was asked is ready."""
    if away:
        return Stop(
            UNREACHABLE, "; ".join(stop.fact for stop in away.values()), next(iter(away.values())).then
        )
    candidate, wrong = state["release"]["candidate"], []
    for host, found in looks.items():
        if found["seq"] > state["seq"]:
            fact = f"{host} knows a newer state (seq {found['seq']}) than {site.me} (seq {state['seq']})"
            then = f"if the state of {site.me} was lost: copy {site.kept('state.json')} of {host} here"
            return Stop(PERSON, fact, then)
    for name in state["staged"]:
        asked = [host for host in site.services[name].hosts if host in looks]
        for host in asked if site.services[name].traffic else ():
            slot = f"{name}-{idle(state, name)}"
            problem = unfit(looks[host]["containers"].get(slot), candidate)
            if problem:
                wrong.append(f"{slot} on {host} {problem}")
    return Stop(FAILED, "; ".join(wrong), f"changeover status {site.system}") if wrong else None


def unfit(container: Mapping[str, Any] | None, release: str | None) -> str:
    """What is wrong with a container that shall serve a release; empty for nothing."""
    if not container:
        return "is not there"
    if release and container["release"] not in (None, release):
        return f"is release {container['release']}, not {release}"
    return "" if container["healthy"] else f"is not healthy ({container['status'] or container['state']})"


def turns(site: Site, state: State) -> list[str]:
    """The hosts that a rolling release takes one after the other."""
    concerned = hosts_of(site, state["staged"])
    return [host for host in site.order if host in concerned]


def new_workers(site: Site, state: State, only: Collection[str] | None = None) -> list[Start]:
    """Slots without traffic that are started before traffic moves; what must run once is not among them.

    `only`: on these hosts (None: on all).
    """
    candidate = state["release"]["candidate"]
    return [
        Start(host, name, idle(state, name), candidate)
        for name in state["staged"]
        if not site.services[name].traffic and not site.services[name].singleton
        for host in site.services[name].hosts
        if only is None or host in only
    ]


def way_back(site: Site, state: State, looks: Looks) -> WayBack:
    """What must be started before traffic can go back.

    One ready host of a service is enough: gateways pass over the others, and waiting would keep users on the bad
    release. A service whose hosts do not answer is unknown: it was running when it was seen last.
    """
    start: list[Start] = []
    unknown: list[str] = []
    for name, slot in slots_back(state).items():
        service = site.services.get(name)
        release = state["slots"][name][slot]
        if not service or not service.traffic or not release:
            continue
        known = [host for host in service.hosts if host in looks]
        ready = [
            host for host in known if not unfit(looks[host]["containers"].get(f"{name}-{slot}"), release)
        ]
        if not known:
            unknown.append(name)
        elif not ready:
            start += [Start(host, name, slot, release) for host in known]
    return WayBack(start, unknown)
