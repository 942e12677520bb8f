"""What is live, and is anything off: the words of `changeover status`, and what only the control machine knows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click
from pyinfra import inventory
from pyinfra.context import ctx_host, ctx_state

from changeover.plan import Plan
from operations import flow, lock, run
from operations.ask import spoken
from operations.host_command import BINARY

AWAY = "no SSH from this machine: "


def asked_first(plan: Plan, system: str, reached: Collection[str]) -> str | None:
    """The host that is asked about a system: its coordinator, or else the first that is reached; None for none."""
    names = dict.fromkeys([plan.coordinator(system).name, *(member.name for member in plan.group(system))])
    return next((name for name in names if name in reached), None)


def reached() -> list[str]:
    """Hosts of this run that SSH reaches."""
    return [host.name for host in ctx_state.get().inventory.get_active_hosts()]


def shown(plan: Plan, system: str) -> None:
    """Prints a system's status, and lets the run end with exit code 1 when something is off. Changes nothing.

    Arguments: the plan; the system. Called for the host that asked_first() names.
    """
    here = reached()
    group = [member.name for member in plan.group(system)]
    away = [name for name in group if name not in here and asks(name)]
    names = dict.fromkeys([plan.coordinator(system).name, *group])
    lines: list[str] = []
    for name in (one for one in names if one in here):
        _, lines = lock.ask(inventory.get_host(name), "status", system, "--json")
        if said := spoken(lines):
            break
    else:
        said = {"error": " ".join(lines) or "no host of it says", "next": f"ssh HOST sudo {BINARY} status {system}"}
    text, well = told(said, away, settings(plan, system, here, said))
    click.echo("\n".join([*text, ""]))
    if not well:
        ctx_state.get().failed_hosts.add(ctx_host.get())  # the exit code; nothing that was to come is left out


def asks(name: str) -> bool:
    """Whether this run asks a host at all (--limit)."""
    state = ctx_state.get()
    return bool(state.is_host_in_limit(state.inventory.get_host(name)))


def settings(plan: Plan, system: str, here: Collection[str], said: dict[str, Any]) -> str:
    """How what runs stands to group_data; empty where that cannot be known: nothing is live, or not all are reached."""
    if not (said.get("release") or {}).get("live") or any(one.name not in here for one in plan.group(system)):
        return ""
    if run.live(system).drifted:
        return flow.ready("not as group_data says; the next deploy switches to it: pyinfra INVENTORY deploy.py -y")
    return "as group_data says"


def told(said: dict[str, Any], away: Collection[str], settings: str) -> tuple[list[str], bool]:
    """The lines for a person, and whether all is well. Pure.

    Arguments: the host command's answer; hosts that this machine does not reach; what settings() says. The way back
    stays the last line.
    """
    if "error" in said:
        return [f"error  {said['error']}", f"next   {said.get('next', '')}"], False
    *lines, last = said["message"].splitlines() or [""]
    rows = [f"  {'settings':<11} {settings}"] if settings else []
    rows += [f"  {name:<11} {AWAY}see: ssh {name}" for name in away]
    well = not said.get("off") and said.get("off") is not None and not away
    if said.get("off") is None and not (said.get("release") or {}).get("live"):
        well = not away
    return ([*lines, *rows, last] if last.startswith("to ") else [*lines, last, *rows]), well
