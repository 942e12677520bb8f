"""Which ports of a host are open, and for whom: from the plan alone. Pure.

The gateway's ports are everybody's. A port of a service is open for the hosts whose containers are given its address
({address.SERVICE}, or the address itself in a text), and for the gateways that lead to it; for nobody else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from changeover.files import File, render
from changeover.networks import BACK, FRONT, bridge, kept, ports, users
from changeover.plan import Plan
from changeover.settings import App

FILE = "/etc/nftables.conf"
TABLE = "inet changeover"
PEER_PORT = 22  # of sshd, among the hosts (changeover/hostconfig.py)
DIGEST = "@digest@"  # where the rules' own digest goes: a running host says with it which rules it has
NUMBERS = {"vrrp": "112", "esp": "50", "ah": "51", "gre": "47", "igmp": "2"}  # nft 1.0 knows few by name
ADDED = ("open", "here")  # chains that a deploy adds to, and takes nothing from
WHO = re.compile(r"(?:(?P<by>ip saddr|ip6 saddr|iifname) \{ (?P<names>[^}]*) \} )?(?P<what>[^#]*?)(?: comment .*)?")


@dataclass(frozen=True)
class Open:
    """An open port. `sources`: who may ask, None for everybody.

    `here`: this host's own containers may; only those of `bridges` where some are named.
    """

    port: int | None  # None: of a protocol without
    protocol: str
    sources: tuple[str, ...] | None
    here: bool
    why: str
    bridges: tuple[str, ...] = ()


def openings(plan: Plan, host: str) -> list[Open]:
    """The open ports of a host beside SSH, in the order in which the rules are written."""
    found, gateway = [], plan.fleet.gateway
    if gateway.on in plan.hosts[host].groups:
        found += [Open(port, "tcp", None, True, "gateway") for port in (gateway.http_port, gateway.https_port)]
    for one in plan.fleet.firewall.open:
        if one.on is None or one.on in plan.hosts[host].groups:
            sources = tuple(one.sources)
            found.append(Open(one.port, one.protocol, sources or None, not sources, "fleet.firewall.open"))
    for system in plan.systems:
        for name, service in plan.services_on(system, host).items():
            asking = users(plan, system, name, host)
            names = {one.name for user in asking for one in plan.hosts_of(*user)} | gateways_to(plan, system, name)
            others = tuple(one.address for one in plan.hosts.values() if one.name in names - {host})
            inside = {bridge(of, BACK) for of, key in asking if any(one.name == host for one in plan.hosts_of(of, key))}
            bridges = tuple(sorted(inside)) if kept(service) else ()
            found += [
                Open(port, "tcp", others, host in names, f"{system}.{name}", bridges)
                for port in ports(service)
                if names
            ]
    return found


def gateways_to(plan: Plan, system: str, name: str) -> set[str]:
    """The names of the gateways that lead to a service."""
    service = plan.systems[system].services[name]
    led = isinstance(service, App) and service.routes
    return {gateway.name for gateway in plan.gateways(system)} if led else set()


def reaches(plan: Plan, host: str) -> list[tuple[str, str, int]]:
    """What a host must get through to: (name of the other host, its address, port); peers by SSH too."""
    own, groups = plan.hosts[host].address, set(plan.hosts[host].groups) & plan.systems.keys()
    found = []
    for other in plan.hosts.values():
        if other.name != host:
            peer = [PEER_PORT] if groups & set(other.groups) else []
            mine = [one.port for one in openings(plan, other.name) if one.port and own in (one.sources or ())]
            found += [(other.name, other.address, port) for port in [*peer, *mine]]
    return found


def rules(plan: Plan, host: str, ssh_ports: Sequence[int], was: str = "") -> File:
    """The file that nftables reads.

    Arguments: the plan; the host's name; the ports that its sshd listens on; our file as it is on the host, whose
    openings are kept (a deploy runs while the release before serves, and may go back to it); empty: none is.
    """
    firewall, wanted, stay = plan.fleet.firewall, chains(plan, host), kept_lines(plan, host, was)
    members = [member.address for member in plan.hosts.values() if member.name != host]
    text = render(
        "nftables/nftables.conf.j2",
        table=TABLE,
        digest=DIGEST,
        ssh_ports=sorted(ssh_ports),
        ssh_from=_from([*firewall.ssh_from, *members] if firewall.ssh_from else None),
        containers=firewall.containers,
        chains={name: (lines, stay.get(name, [])) for name, lines in wanted.items()},
    )
    return File(FILE, text.replace(DIGEST, hashlib.sha256(text.encode()).hexdigest()[:16]), mode="755")


def chains(plan: Plan, host: str) -> dict[str, list[str]]:
    """{chain: its lines} of a host, by the plan alone: what its pages may not ask, and what is open."""
    found = openings(plan, host)
    pages = [bridge(system, FRONT) for system in plan.systems if plan.services_on(system, host)]
    shut = f"{_in(sorted(pages))}meta l4proto tcp ct original ip daddr"
    return {
        "front": [
            f'{shut} {address} ct original proto-dst {port} counter drop comment "{why}"'
            for address, port, why in (stores(plan) if pages else [])
        ],
        "open": [f"{way}{_rule(one)}" for one in found for way in _from(one.sources)],
        "here": [f"{_in(one.bridges)}{_rule(one)}" for one in found if one.here and one.sources is not None],
    }


def stores(plan: Plan) -> list[tuple[str, int, str]]:
    """(address, port, name) of every database and broker of the fleet, but what fleet.firewall.open opens by name."""
    opened = {(one.on, one.port) for one in plan.fleet.firewall.open}
    return [
        (host.address, port, f"{system}.{name}")
        for system, settings in plan.systems.items()
        for name, service in settings.services.items()
        if kept(service)
        for host in plan.hosts_of(system, name)
        for port in ports(service)
        if not {(group, port) for group in (None, *host.groups)} & opened
    ]


def kept_lines(plan: Plan, host: str, was: str) -> dict[str, list[str]]:
    """{chain: lines} that our file on a host has and the plan has not, in the file's order.

    A line whose port is open for all whom it names is not kept: a host more changes the text and takes nothing away.
    """
    wanted = chains(plan, host)
    return {
        name: [old for old in dict.fromkeys(lines_of(was, name)) if not any(_covers(new, old) for new in wanted[name])]
        for name in ADDED
    }


def lines_of(text: str, chain: str) -> list[str]:
    """The rules of a chain in a file of ours."""
    body = text.partition(f"\n\tchain {chain} {{\n")[2].splitlines()
    rules = [line.strip() for line in body[: body.index("\t}") if "\t}" in body else 0]]
    return [line for line in rules if line and not line.startswith("#")]


def spoken(line: str) -> str:
    """A rule as a note names it: 4222/tcp (shop.queue)."""
    found = re.search(r"l4proto (\w+)(?: ct original proto-dst (\d+))?.* comment \"(.*)\"", line)
    if not found:
        return line
    protocol = next((name for name, number in NUMBERS.items() if number == found[1]), found[1])
    return f"{f'{found[2]}/' if found[2] else ''}{protocol} ({found[3]})"


def _covers(new: str, old: str) -> bool:
    """Whether a rule lets in all that another does."""
    one, other = WHO.fullmatch(new), WHO.fullmatch(old)
    if not one or not other or one["what"] != other["what"]:
        return new == old
    if one["by"] is None or other["by"] != one["by"]:
        return one["by"] is None
    names, wanted = one["names"].split(", "), other["names"].split(", ")
    if one["by"] == "iifname":
        return set(wanted) <= set(names)
    return all(any(_within(each, name) for name in names) for each in wanted)


def _within(one: str, other: str) -> bool:
    inner, outer = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return inner.network_address in outer and inner.broadcast_address in outer


def _rule(one: Open) -> str:
    port = f" ct original proto-dst {one.port}" if one.port else ""
    return f'meta l4proto {NUMBERS.get(one.protocol, one.protocol)}{port} accept comment "{one.why}"'


def _in(bridges: Sequence[str]) -> str:
    names = ", ".join(f'"{name}"' for name in bridges)
    return f"iifname {{ {names} }} " if names else ""


def _from(sources: Sequence[str] | None) -> list[str]:
    """How a rule begins that is for these addresses and networks: one for each family; one for everybody."""
    if sources is None:
        return [""]
    found = [ipaddress.ip_network(source) for source in dict.fromkeys(sources)]
    v4 = ipaddress.collapse_addresses(network for network in found if isinstance(network, ipaddress.IPv4Network))
    v6 = ipaddress.collapse_addresses(network for network in found if isinstance(network, ipaddress.IPv6Network))
    families = {"ip": list(map(str, v4)), "ip6": list(map(str, v6))}  # nftables takes no overlaps
    return [f"{family} saddr {{ {', '.join(networks)} }} " for family, networks in families.items() if networks]


def digest(file: File) -> str:
    """The digest that a host with these rules shows."""
    return str(file.content).partition('comment "')[2].partition('"')[0]
