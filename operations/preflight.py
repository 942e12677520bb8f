"""What must be true before anything is changed: the fact, then the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import deploy

from changeover.fleet import Plan
from changeover.live import Live
from changeover.slots import moved
from changeover.stack import rolls_out
from changeover.words import octets
from facts.compose import SlotPorts
from facts.host import Foreign, Machine, MachineFacts
from operations import flow, integration

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
DAEMON = "/etc/docker/daemon.json"  # ours would hide another data-root, and with it all containers
MIN_DISK = 4096  # MiB: engine, images of two releases


@deploy("preflight")
def preflight(plan: Plan, live: dict[str, Live], strangers: Sequence[str] = ()) -> None:
    """Checks this host and what this run asks for.

    Arguments: the plan; what is live of each system; why this host's word on what is live is not taken.
    """
    machine = host.get_fact(MachineFacts)
    foreign = host.get_fact(Foreign, paths=[DAEMON])
    problems = [
        *machine_problems(plan, host.name, machine),
        *(
            f"{host.name}: has a {path} of its own; put its keys into fleet.daemon, then: mv {path} {path}.before"
            for path in foreign
        ),
        *release_problems(plan, live),
        *(line for name in live if rolls_out(plan, name, live[name]) for line in integration.missing(plan, name)),
        *(
            line
            for system, state in live.items()
            if state.release.live
            for line in moved(plan, system, host.name, state, host.get_fact(SlotPorts, system=system))
        ),
        *strangers,
    ]
    flow.require(name="the host is fit", problems=problems, fact="fit for what runs on it")


def machine_problems(plan: Plan, name: str, machine: Machine | None) -> list[str]:
    """Why a host cannot take its part; empty when it can."""
    if machine is None:
        return [f"{name}: does not tell its operating system; is it a Debian or Ubuntu with awk and df?"]
    found = []
    if machine.version not in SUPPORTED.get(machine.os, ()):
        found.append(f"{name}: is {machine.os} {machine.version}; known are Debian 12 and 13, Ubuntu 22.04 and 24.04")
    if (machine.os, machine.version) == ("debian", "12") and plan.fleet.docker_source == "debian":
        found.append(
            f"{name}: Debian 12's own packages have no compose v2; "
            "set fleet.docker_source to 'docker' (Docker's repository)"
        )
    if not machine.python:
        found.append(f"{name}: has no python3; run: apt-get install -y python3")
    if machine.disk < MIN_DISK:
        found.append(f"{name}: {machine.disk} MiB free on /, {MIN_DISK} are needed; look: du -xh / | sort -h | tail")
    address = plan.hosts[name].address
    if address not in machine.addresses:
        has = " ".join(machine.addresses)
        found.append(f"{name}: address {address} of the inventory is not the host's own; it has {has}")
    for system in plan.systems_on(name):
        for service, settings in plan.services_on(system, name).items():
            key = f"{system}.services.{service}"
            if settings.cpus > machine.cpus:
                found.append(f"{name}: {key}.cpus is {settings.cpus}, the host has {machine.cpus}")
            if octets(settings.memory) > machine.memory * 1024**2:
                found.append(f"{name}: {key}.memory is {settings.memory}, the host has {machine.memory}M")
    return found


def release_problems(plan: Plan, live: dict[str, Live]) -> list[str]:
    """Releases that this run asks for and that must not go live, and switches that another run left half-way."""
    return [
        *(
            f"{name}: the switch to {state.release.candidate} is half-way; wait until its lease ends, or go back on "
            f"{plan.coordinator(name).name}: sudo changeover rollback {name}"
            for name, state in live.items()
            if state.opened or state.rolled
        ),
        *_held(plan, live),
    ]


def _held(plan: Plan, live: dict[str, Live]) -> list[str]:
    return [
        f"{name}: {wanted} is held: {state.held[wanted]}. Release another version, or allow it again on "
        f"{plan.coordinator(name).name}: sudo changeover unhold {name} {wanted}"
        for name, state in live.items()
        if (wanted := plan.asked_release(name)) in state.held and wanted
    ]
