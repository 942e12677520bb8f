"""What is not as the state says it should be, of what the hosts answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hostcmd.site import Service, Site
from hostcmd.state import State, half_way, idle, page, share

Looks = Mapping[str, Mapping[str, Any]]  # host -> what `status` knows of it


def drift(site: Site, now: State, hosts: Looks) -> list[str]:
    """Hosts that say something else than the coordinator: state, settings, releases, slots that should stand still.

    Hosts that must still be told are no news; what moves no traffic (a hold, a staging) only the coordinator knows; and
    an older host command does not say all of it.
    """
    owed = {debt["host"] for debt in now["pending"]}
    here = {name: one for name, one in hosts.items() if one["reachable"]}
    mine = here.get(site.me, {})
    found = []
    for name, one in here.items():
        if one.get("seq", 0) > now["seq"]:
            found.append(f"{name} knows a newer state (seq {one['seq']}) than {site.me} (seq {now['seq']})")
        elif name not in owed and one.get("generation", now["generation"]) != now["generation"]:
            found.append(f"{name} knows generation {one['generation']}, and {now['generation']} is live")
        if one.get("settings") and mine.get("settings") and one["settings"] != mine["settings"]:
            found.append(f"{name} has the settings of another deploy than {site.me}")
        found += [line for service in site.services.values() for line in _slots(now, service, name, one)]
    return found + gateways(now, here)


def gateways(now: State, hosts: Looks) -> list[str]:
    """Gateways that serve something else than the state says."""
    wrong = []
    for host, one in hosts.items():
        gateway = one.get("gateway")
        if gateway and gateway["generation"] != now["generation"]:
            wrong.append(f"{host} serves generation {gateway['generation']}, not {now['generation']}")
        elif gateway and gateway["maintenance"] != bool(page(now)):
            wrong.append(f"{host} has the maintenance page {'on' if gateway['maintenance'] else 'off'}")
    return wrong


def off(site: Site, now: State, hosts: Looks, drifted: list[str]) -> list[str]:
    """All that a person should look at, in a few words each; empty when nothing is.

    Arguments: the site; the state; the hosts; what drift() found.
    """
    found = [f"{name} is not reached" for name, one in hosts.items() if not one["reachable"]]
    for service in site.services.values():
        for host in service.hosts:
            if (slot := serving(now, service.name, host)) and hosts.get(host, {}).get("reachable"):
                word = state_of(hosts[host]["containers"].get(f"{service.name}-{slot}"))
                found += [] if word == "ready" or now["opened"] else [f"{service.name} on {host} is {word}"]
    for name, host, word in others(site, hosts):
        found += [] if word == "ready" else [f"{name} on {host} is {word}"]
    for name, host, word in ahead(site, now, hosts):
        found += [] if word == "ready" else [f"{name} on {host} is {word}"]
    if now["weight"] and not now["lease"]:
        found.append(f"{share(now)} are on {now['release']['candidate']}, and nobody watches it")
    found += drifted
    return found + [f"{debt['host']} is still to be told" for debt in now["pending"]]


def others(site: Site, hosts: Looks) -> list[tuple[str, str, str]]:
    """(service, host, state in a word) of the containers that are no slots: databases, brokers."""
    slots = {f"{name}-{slot}" for name in site.services for slot in ("blue", "green")}
    return sorted(
        (name, host, state_of(one))
        for host, said in hosts.items()
        if said["reachable"]
        for name, one in said["containers"].items()
        if name not in slots and not name.endswith(("-blue", "-green"))
    )


def ahead(site: Site, now: State, hosts: Looks) -> list[tuple[str, str, str]]:
    """(container, host, state in a word) of what serves a share of the clients at a weighted step."""
    return [
        (slot, host, state_of(hosts[host]["containers"].get(slot)))
        for name in (now["staged"] if now["weight"] else ())
        if name in site.services and site.services[name].traffic
        for host in site.services[name].hosts
        if hosts.get(host, {}).get("reachable")
        for slot in [f"{name}-{idle(now, name)}"]
    ]


def serving(now: State, name: str, host: str) -> str | None:
    """The slot of a service that serves on a host; None for none. In a rolling release hosts differ."""
    if host in now["rolled"] and name in now["staged"]:
        return idle(now, name)
    live: str | None = now["slots"].get(name, {}).get("live")
    return live


def state_of(container: Mapping[str, Any] | None) -> str:
    """A container's state in a word or two."""
    if not container:
        return "not there"
    return "ready" if container["healthy"] else container["status"] or container["state"]


def _slots(now: State, service: Service, host: str, one: Mapping[str, Any]) -> list[str]:
    live = serving(now, service.name, host)
    if host not in service.hosts or not live:
        return []
    found = []
    release, container = now["slots"][service.name].get(live), one["containers"].get(f"{service.name}-{live}")
    if container and release and container["release"] not in (None, release):
        found.append(f"{service.name}-{live} on {host} is release {container['release']}, not {release}")
    rest = f"{service.name}-{'blue' if live == 'green' else 'green'}"
    still = not service.traffic or now["retired"]  # while it is warm, or being started, it runs as it should
    under_way = now["release"]["candidate"] or now["lease"] or half_way(now)
    if still and not under_way and one["containers"].get(rest, {}).get("state") == "running":
        found.append(f"{rest} runs on {host}, and should stand still")
    return found
