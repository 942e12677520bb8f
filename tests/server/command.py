"""What of the host command must lie on a host, and where: pure, from the plan."""

from __future__ import annotations

from changeover.files import Directory, File, render
from changeover.fleet import Plan
from changeover.hostconfig import config
from hostcmd.build import archive
from operations.host_command import BINARY, ETC, HOME, UNITS

SSH = f"{HOME}/.ssh"
PEER_KEY = f"{ETC}/peer_key"
SERVER_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
KEYS = (f"{PEER_KEY}.pub", SERVER_KEY)
RECOVER = "changeover-recover.service"
SUDOERS = "/etc/sudoers.d/changeover"
PRIVATE = (PEER_KEY, SUDOERS, f"{SSH}/authorized_keys", f"{ETC}/known_hosts")  # judged by what they do


def settings(system: str) -> str:
    """The path of a system's settings."""
    return f"{ETC}/{system}.json"


def entries(plan: Plan, machine: str) -> list[File | Directory]:
    """Command, settings, the unit for a reboot, and the folders."""
    return [
        *(Directory(path) for path in (ETC, HOME, SSH)),
        File(BINARY, archive(), mode="755"),
        *(File(settings(system), config(plan, system, machine)) for system in plan.systems_on(machine)),
        File(f"{UNITS}/{RECOVER}", render("changeover/recover.service.j2", command=BINARY)),
    ]


def public(text: str | None) -> str:
    """Type and base64 of a public key's text, without its comment; empty where there is none."""
    return " ".join((text or "").split()[:2])
