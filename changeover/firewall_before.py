"""What a host had before a firewall of ours: other rules that are in force, and what answers today. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from changeover.firewall import FILE, TABLE, openings
from changeover.plan import Plan

HOOK = re.compile(r"\bhook input\b")
SHUTS = re.compile(r"\b(policy drop|drop|reject)\b")
# Ours and the engine's; and those that turn away single addresses, which goes well with ours.
BESIDE = (TABLE.split()[1], "docker", "f2b", "crowdsec", "sshguard")
IPTABLES = {"ip filter": "iptables", "ip6 filter": "ip6tables"}  # also the engine's: never deleted whole
DHCP = {(68, "udp"), (546, "udp")}  # open by the rules' own lines
PERSISTENT = "netfilter-persistent"


def shutting(ruleset: Sequence[str]) -> list[str]:
    """The tables of `nft list ruleset` whose chains of the input hook turn something away, as `FAMILY NAME`."""
    found, table, chain = [], "", False
    for line in ruleset:
        if line.startswith("table "):
            table, chain = " ".join(line.split()[1:3]), False
        elif line.lstrip().startswith("chain "):
            chain = False
        elif HOOK.search(line):
            chain = True
        rule = re.sub(r'"[^"]*"', "", line.partition("#")[0])
        if chain and SHUTS.search(rule) and not table.split()[-1].startswith(BESIDE) and table not in found:
            found.append(table)
    return found


def remedy(other: str) -> str | None:
    """What ends another firewall, now and at the next boot; None for a name that is none."""
    known = {
        "ufw": "ufw disable",
        "firewalld": "systemctl disable --now firewalld",
        PERSISTENT: f"systemctl disable --now {PERSISTENT}",
        FILE: f"mv {FILE} {FILE}.before",
    }
    family, _, table = other.removeprefix("table ").partition(" ")
    if other.startswith("table ") and table:
        program = IPTABLES.get(f"{family} {table}")
        return f"{program} -P INPUT ACCEPT && {program} -F INPUT" if program else f"nft delete table {family} {table}"
    return known.get(other)


def silenced(plan: Plan, host: str, ssh_ports: Sequence[int], listening: Sequence[tuple[int, str, str]]) -> list[str]:
    """A line for each port that answers now, and will not under our rules.

    Arguments: the plan; the host's name; the ports of its sshd; (port, tcp or udp, program) of what listens on it.
    """
    known = {(one.port, one.protocol) for one in openings(plan, host)} | {(port, "tcp") for port in ssh_ports} | DHCP
    shut = sorted({one for one in listening if one[:2] not in known})
    return [
        f"{host}: {port}/{protocol} ({program or 'unknown'}) answers now and will not: name it in fleet.firewall.open"
        for port, protocol, program in shut
    ]
