"""Firewall and sshd, where a mistake locks everybody out: both go back unless a fresh connection confirms them.

The host itself undoes what is not confirmed (operations/on_host/guard.py), also when the control machine has died.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover import firewall, hardening
from changeover.files import File, render
from changeover.firewall_before import remedy, silenced
from changeover.plan import Plan
from changeover.settings import Fleet
from changeover.words import whole_seconds
from facts.files import FileStates
from facts.secure import (
    GUARD,
    Firewalls,
    GuardWaits,
    Listening,
    OtherFirewalls,
    RulesFile,
    RulesLoaded,
    SshdSettings,
)
from operations import flow, units
from operations.afresh import CHANGED, confirmed, reached
from operations.files import ON_HOST

UNIT = "changeover-guard.service"
NFTABLES = "nftables.service"
DROP_IN = f"/etc/systemd/system/{NFTABLES}.d/changeover.conf"
RELOAD = ["systemctl", "try-reload-or-restart", "ssh.service"]
# A firewall that is not ours was refused, so what is put back is ours, or nothing that needs loading.
OURS = f"grep -qs 'table {firewall.TABLE}' {firewall.FILE}"
BACK = f"{OURS} && nft -f {firewall.FILE} || nft delete table {firewall.TABLE}"
WHOLE = '{ echo "Include $1"; cat /etc/ssh/sshd_config; } > "$0/whole" && /usr/sbin/sshd -t -f "$0/whole"'


def files(fleet: Fleet) -> list[File]:
    """What must be there before anything is changed that has to be confirmed."""
    found = [
        File(GUARD, (ON_HOST / "guard.py").read_text(), mode="755"),
        File(f"/etc/systemd/system/{UNIT}", render("systemd/guard.service.j2", command=GUARD)),
    ]
    if fleet.firewall.manage:
        found.append(File(DROP_IN, render("nftables/service.conf.j2")))
    return found


@deploy("firewall and SSH")
def guarded(plan: Plan, name: str, token: str, exact: bool) -> None:
    """Firewall and sshd are as the settings say, and a fresh connection found them open.

    Arguments: the plan; this host's name; this run's id; whether what the plan does not open any more is shut now:
    not within a deploy, whose release before serves on, and may have to serve again.
    """
    flow.require(name="no other firewall is here", problems=problems(plan, name), fact="none is")
    for line in notes(plan, name, exact):
        flow.note(line)
    loaded(name="firewall and sshd, for a while", plan=plan, who=name, token=token, exact=exact)
    flow.barrier(name="every host has its rules")
    ways = firewall.reaches(plan, name) if plan.fleet.firewall.manage else []
    within = plan.fleet.confirm_within
    reached(name="what the hosts need of each other gets through", ways=ways, within=within)
    if plan.fleet.firewall.manage:
        # Before the confirmation: a host that reboots just after it must load them.
        units.ready(name=f"{NFTABLES} is loaded at boot", enabled=[NFTABLES])
    flow.barrier(name="every host has looked")
    confirmed(name="a fresh connection confirms them", token=token, within=within)
    if plan.fleet.firewall.manage:
        reads = [firewall.FILE, DROP_IN]
        units.ready(name=f"{NFTABLES} runs, and after a reboot", running={NFTABLES: reads})
    if plan.fleet.sshd.manage:
        obeyed(name="sshd reads what its drop-in says", fleet=plan.fleet)


@operation()
def loaded(plan: Plan, who: str, token: str, exact: bool) -> Generator[StringCommand]:
    """
    New rules and settings are in force until they are confirmed, or their time is over.

    + plan: the plan
    + who: this host's name
    + token: of this run
    + exact: what the plan does not open any more is shut
    """
    if host.get_fact(GuardWaits):
        yield StringCommand(GUARD, "revert")  # another run's, which did not confirm it
    said = host.get_fact(SshdSettings)
    parts = []
    if plan.fleet.sshd.manage:
        file = hardening.sshd(plan.fleet, said)
        if _differs(file):
            parts.append(_part("sshd", file, [["sh", "-c", WHOLE, "{}", f"{{}}/{_base(file)}"]], RELOAD, RELOAD))
    if plan.fleet.firewall.manage:
        was = "" if exact else host.get_fact(RulesFile, path=firewall.FILE, table=firewall.TABLE)
        file = firewall.rules(plan, who, [int(port) for port in said.get("port", ["22"])], was)
        if _differs(file) or host.get_fact(RulesLoaded, table=firewall.TABLE) != firewall.digest(file):
            check = [["nft", "-c", "-f", f"{{}}/{_base(file)}"]]
            parts.append(_part("firewall", file, check, ["nft", "-f", firewall.FILE], ["sh", "-c", BACK]))
            CHANGED.add(who)
    if not parts:
        host.noop("they are as the settings say")
        return
    asked = {"token": token, "seconds": whole_seconds(plan.fleet.confirm_within), "parts": parts}
    yield StringCommand(GUARD, "apply", _stdin=json.dumps(asked))


def _base(file: File) -> str:
    return file.path.rpartition("/")[2]


def _differs(file: File) -> bool:
    found = host.get_fact(FileStates, paths=[file.path]).get(file.path)
    return found is None or (found.digest, found.mode) != (file.digest(), file.mode)


def _part(name: str, file: File, check: Sequence[Sequence[str]], load: list[str], undo: list[str]) -> dict[str, Any]:
    entry = {"path": file.path, "mode": file.mode, "content": b64encode(file.raw()).decode()}
    # A daemon that is told to read its files does so a moment later: what is asked then must not meet the old one.
    return {"name": name, "files": [entry], "check": check, "load": [load, ["sleep", "1"]], "undo": [undo]}


@operation(is_idempotent=False)
def obeyed(fleet: Fleet) -> Generator[FunctionCommand]:
    """
    What sshd reads is what our drop-in says; a value that stands before its Include would win.

    + fleet: the shared settings
    """
    said = host.get_fact(SshdSettings)
    meant = host.get_fact(SshdSettings, first=hardening.SSHD)
    problems = [
        f"{host.name}: sshd has {keyword} {' '.join(said.get(keyword.lower(), []))}, and {hardening.SSHD} says "
        "otherwise; in /etc/ssh/sshd_config a line above the Include holds, or there is no Include: mend it there"
        for keyword in hardening.wrong_sshd(fleet, said, meant)
    ]
    yield from flow.require._inner(problems=problems, fact="it does")


def notes(plan: Plan, name: str, exact: bool) -> list[str]:
    """What a person should know of a host's firewall before it is changed. Arguments as in guarded."""
    was = host.get_fact(RulesFile, path=firewall.FILE, table=firewall.TABLE)
    loaded = host.get_fact(RulesLoaded, table=firewall.TABLE)
    if not plan.fleet.firewall.manage:
        file = f" && mv {firewall.FILE} {firewall.FILE}.changeover" if was else ""
        line = "fleet.firewall.manage is False, and rules of before are in force"
        return [f"{name}: {line}; to end them: nft delete table {firewall.TABLE}{file}"] if loaded else []
    if not loaded:
        ports = [int(port) for port in host.get_fact(SshdSettings).get("port", ["22"])]
        listening = host.get_fact(Listening)
        return silenced(plan, name, ports, listening)
    return [] if exact else kept(plan, name, was)


def kept(plan: Plan, name: str, was: str) -> list[str]:
    """What of our file on a host no settings want any more, and what takes it away. Pure."""
    lines = [line for some in firewall.kept_lines(plan, name, was).values() for line in some]
    found = ", ".join(dict.fromkeys(firewall.spoken(line) for line in lines))
    end = "when no way back needs it: pyinfra INVENTORY phases/secure.py -y"
    return [f"{name}: still open, though no settings want it any more: {found}; {end}"] if lines else []


def problems(plan: Plan, name: str) -> list[str]:
    """Why a firewall of ours cannot be on a host; empty when it can, or shall not."""
    if not plan.fleet.firewall.manage:
        return []
    return refusals(plan, name, host.get_fact(OtherFirewalls))


def refusals(plan: Plan, name: str, found: Firewalls) -> list[str]:
    """The same, of what a host said. Pure."""
    card = found.cards.get(plan.hosts[name].address, "")
    patterns = plan.fleet.firewall.containers
    taken = [p for p in patterns if card == p or p.endswith("*") and card.startswith(p[:-1])] if card else []
    return [
        *(
            f"{name}: has rules of its own ({other}); name what they open in fleet.firewall.open and run: {end}; or "
            "leave the firewall to them: fleet.firewall.manage False"
            for other in found.others
            if (end := remedy(other))
        ),
        *(
            f"{name}: its network card {card} is named like the engine's networks ({pattern}), and would be open like "
            "them; name these exactly in fleet.firewall.containers"
            for pattern in taken
        ),
    ]
