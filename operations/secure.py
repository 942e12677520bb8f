"""A host itself, before anything runs on it: deploy user, time, kernel, journal, security updates, swap."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, deploy, operation
from pyinfra.operations import apt, server

from changeover import hardening
from changeover.files import Directory, File, render
from changeover.settings import Fleet
from facts.files import FileStates
from facts.host import STATE_DIR, Machine, MachineFacts
from facts.secure import KernelSettings, SwapActive
from operations import guard, units, users
from operations.files import tree

CHRONY = "/etc/default/chrony"
UNITS = {"chrony.service": [CHRONY], "systemd-journald.service": [hardening.JOURNAL]}
TIMERS = ["apt-daily.timer", "apt-daily-upgrade.timer"]


@deploy("host")
def host_itself(fleet: Fleet) -> None:
    """What every host has, whatever runs on it. Argument: the shared settings."""
    machine = host.get_fact(MachineFacts)
    container = bool(machine and machine.container)
    apt.packages(
        name="packages of the host itself",
        packages=packages(fleet),
        update=True,
        cache_time=86400,
        no_recommends=True,
    )
    server.group(name="group of the engine", group="docker", system=True)
    users.login(
        name="deploy user", user=fleet.deploy_user, shell="/bin/bash", groups=["docker"], keys=fleet.deploy_keys
    )
    tree(
        name="settings of time, kernel and journal; folders",
        files=files(fleet, machine),
        directories=[Directory("/srv"), Directory(STATE_DIR)],
    )
    tree(
        name="which updates come by themselves, checked by apt",
        files=lambda: updates(fleet, machine),
        check_root="/etc/apt/apt.conf.d",
        check_command=["apt-config", "-c", f"{{}}/{hardening.UPDATES.rpartition('/')[2]}", "dump"],
    )
    kernel(name="the kernel has its settings", values=hardening.sysctl_values(fleet, container))
    timers: dict[str, list[str]] = {timer: [] for timer in TIMERS if fleet.updates.automatic}
    wanted = {**UNITS, **timers}
    units.ready(name="time, journal, updates and guard run, and after a reboot", running=wanted, enabled=[guard.UNIT])
    if fleet.swap:
        swap(name=f"{fleet.swap.size} of swap", size=fleet.swap.size, container=container)


def packages(fleet: Fleet) -> list[str]:
    """What is installed beside the engine."""
    return [
        "chrony",
        "ca-certificates",
        *(["nftables"] if fleet.firewall.manage else []),
        *(["unattended-upgrades"] if fleet.updates.automatic else []),
    ]


def files(fleet: Fleet, machine: Machine | None) -> list[File]:
    """The files of every host but those of updates. Arguments: the shared settings; what the host is."""
    container = bool(machine and machine.container)
    return [
        File(CHRONY, render("chrony/default.j2", container=container)),
        *guard.files(fleet),
        *hardening.files(fleet, container),
    ]


def updates(fleet: Fleet, machine: Machine | None) -> list[File]:
    """The files of security updates; once they were ours, they also say that there are none."""
    wanted = hardening.updates(fleet, machine.os if machine else "debian")
    if fleet.updates.automatic or host.get_fact(FileStates, paths=[hardening.UPDATES]):
        return wanted
    return []


@operation()
def kernel(values: dict[str, str]) -> Generator[StringCommand]:
    """
    The running kernel has these settings; the file that holds them is read at boot.

    + values: setting -> value; those that this kernel does not have are passed over
    """
    found = host.get_fact(KernelSettings, keys=list(values))
    if all(found[key] == " ".join(values[key].split()) for key in found):
        host.noop("it has them")
        return
    yield StringCommand("sysctl", "-q", "-e", "-p", hardening.SYSCTL)


@operation()
def swap(size: str, container: bool) -> Generator[StringCommand]:
    """
    There is a swap file, now and after a reboot.

    + size: of a new one; one that is there keeps its size
    + container: this host is one, and cannot have swap of its own
    """
    if container:
        host.noop("none: this host is a container, and swap is its machine's")
        return
    if host.get_fact(SwapActive, path=hardening.SWAP_FILE):
        host.noop(f"{hardening.SWAP_FILE} is in use")
        return
    if not host.get_fact(FileStates, paths=[hardening.SWAP_FILE]):
        for command in hardening.swap_commands(size):
            yield StringCommand(command)
    yield StringCommand("systemctl daemon-reload && systemctl enable -q --now", hardening.SWAP_UNIT)
