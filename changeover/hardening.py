"""The files that keep a host safe beside its firewall: sshd, kernel, security updates, journal, swap. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from changeover.files import File, render
from changeover.settings import Fleet
from changeover.words import octets

SSHD = "/etc/ssh/sshd_config.d/10-changeover.conf"  # before a cloud image's own: the first value holds
SYSCTL = "/etc/sysctl.d/60-changeover.conf"
UPDATES = "/etc/apt/apt.conf.d/60changeover"  # after the distribution's 50unattended-upgrades
RESTARTS = "/etc/needrestart/conf.d/changeover.conf"
JOURNAL = "/etc/systemd/journald.conf.d/60-changeover.conf"
SWAP_FILE, SWAP_UNIT = "/swapfile", "swapfile.swap"

# The sources are named with each exception in docs/security.md (CIS Debian Linux Benchmark, lynis).
SSH = {
    "PermitRootLogin": "prohibit-password",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitEmptyPasswords": "no",
    "HostbasedAuthentication": "no",
    "IgnoreRhosts": "yes",
    "PermitUserEnvironment": "no",
    "X11Forwarding": "no",
    "AllowAgentForwarding": "no",
    "AllowTcpForwarding": "local",  # a deploy's integration tests go through it
    "GatewayPorts": "no",
    "PermitTunnel": "no",
    "LoginGraceTime": "60",
    "ClientAliveInterval": "60",
    "ClientAliveCountMax": "3",
    "LogLevel": "VERBOSE",  # which key came in
}
NETWORK = {
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.default.accept_redirects": "0",
    "net.ipv4.conf.all.secure_redirects": "0",
    "net.ipv4.conf.default.secure_redirects": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv4.conf.default.accept_source_route": "0",
    "net.ipv4.conf.all.rp_filter": "2",
    "net.ipv4.conf.default.rp_filter": "2",
    "net.ipv4.icmp_echo_ignore_broadcasts": "1",
    "net.ipv4.icmp_ignore_bogus_error_responses": "1",
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv6.conf.all.accept_redirects": "0",
    "net.ipv6.conf.default.accept_redirects": "0",
    "net.ipv6.conf.all.accept_source_route": "0",
    "net.ipv6.conf.default.accept_source_route": "0",
}
KERNEL = {  # of the whole machine: a host that is a container must not set them
    "fs.protected_fifos": "1",
    "fs.protected_hardlinks": "1",
    "fs.protected_regular": "2",
    "fs.protected_symlinks": "1",
    "fs.suid_dumpable": "0",
    "kernel.dmesg_restrict": "1",
    "kernel.kptr_restrict": "2",
    "kernel.randomize_va_space": "2",
    "kernel.unprivileged_bpf_disabled": "1",
    "kernel.yama.ptrace_scope": "1",
    "net.core.bpf_jit_harden": "2",
}
# What a person patches, at a time of their own: a new version of any of these is a restart of what serves.
KEPT = ["docker", "containerd", "runc", "postgresql", "nginx", "redis", "nats-server"]


def sshd_values(fleet: Fleet, said: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Keyword -> value of the drop-in: ours, and the team's on top. Argument `said`: what sshd -T says on the host."""
    # A host that lets root in less than ours stays so: ours is read first, and would open it.
    root = list(said.get("permitrootlogin", []))
    kept = {"PermitRootLogin": root[0]} if root in (["no"], ["forced-commands-only"]) else {}
    return {**SSH, **kept, **fleet.sshd.settings}


def sshd(fleet: Fleet, said: Mapping[str, Sequence[str]]) -> File:
    """sshd's drop-in. Arguments as in sshd_values."""
    return File(SSHD, render("sshd/changeover.conf.j2", values=sshd_values(fleet, said)))


def wrong_sshd(fleet: Fleet, said: Mapping[str, Sequence[str]], meant: Mapping[str, Sequence[str]]) -> list[str]:
    """Keywords that sshd reads otherwise than the drop-in says.

    Arguments as in sshd_values; `meant`: what sshd -T says of the same files with the drop-in first. Both in sshd's
    own words: it writes 2m as 120, and one line for each name of AllowUsers.
    """
    keywords = [(keyword, keyword.lower()) for keyword in sshd_values(fleet, said)]
    return [one for one, key in keywords if key in meant and set(said.get(key, [])) != set(meant[key])]


def sysctl_values(fleet: Fleet, container: bool) -> dict[str, str]:
    """Kernel setting -> value; in a container only the network's, which are its own."""
    found = {**({} if container else KERNEL), **NETWORK}
    if fleet.swap and not container:
        found["vm.swappiness"] = str(fleet.swap.swappiness)
    wanted = {key: value for key, value in fleet.sysctl.items() if not container or key.startswith("net.ipv")}
    return {**found, **wanted}


def kept(fleet: Fleet) -> list[str]:
    """How the names of packages begin that are not updated by themselves."""
    return list(dict.fromkeys([*KEPT, *fleet.updates.keep]))


def updates(fleet: Fleet, distribution: str) -> list[File]:
    """The files of security updates. Arguments: the shared settings; ID of os-release."""
    return [
        File(UPDATES, render("apt/updates.j2", automatic=fleet.updates.automatic, kept=kept(fleet), os=distribution)),
        File(RESTARTS, render("apt/needrestart.conf.j2", kept=kept(fleet))),
    ]


def files(fleet: Fleet, container: bool) -> list[File]:
    """The files of kernel, journal and swap. Arguments: the shared settings; whether the host is a container."""
    values = sysctl_values(fleet, container)
    found = [
        File(SYSCTL, render("sysctl/changeover.conf.j2", values=values, container=container)),
        File(JOURNAL, render("systemd/journald.conf.j2", size=fleet.journal)),
    ]
    if fleet.swap and not container:
        found.append(File(f"/etc/systemd/system/{SWAP_UNIT}", render("systemd/swapfile.swap.j2", file=SWAP_FILE)))
    return found


def swap_commands(size: str) -> list[str]:
    """What makes the swap file; killed in between it is made anew."""
    part = f"{SWAP_FILE}.new"
    mebibytes = -(-octets(size) // 1024**2)
    return [
        f"rm -f {part}",
        # dd and not fallocate: a file with holes is no swap on some file systems.
        f"dd if=/dev/zero of={part} bs=1M count={mebibytes} status=none && chmod 600 {part}",
        f"mkswap -q {part} && mv {part} {SWAP_FILE}",
    ]
