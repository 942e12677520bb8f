"""How hosts are kept safe: firewall, SSH, security updates, kernel, swap. Each has an off-switch or none to need."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from changeover.settings_common import Strict
from changeover.words import INTERFACE, KERNEL, KEYWORD, NAME, PACKAGE, Duration, Port, Size, Text


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(f"{value!r} is no network such as 10.0.0.0/24, and no address such as 10.0.0.9") from None


Network = Annotated[str, AfterValidator(_network)]


PEER = "changeover"  # user that hosts log in as at each other (operations/host_command.py)


class Opening(Strict):
    """A port or protocol of something that these settings do not know: a registry, a VPN, an exporter, keepalived."""

    port: Port | None = Field(None, description="the port that is asked for from outside; of tcp and udp only")
    protocol: Literal["tcp", "udp", "vrrp", "esp", "ah", "gre", "igmp"] = Field(
        "tcp", description="of the port; or one that has none: a keepalived pair needs `vrrp`"
    )
    on: str | None = Field(None, pattern=NAME, description="inventory group whose hosts open it; none: all hosts")
    sources: list[Network] = Field([], description="networks that may use it; none named: everybody")

    @model_validator(mode="after")
    def _fits(self) -> Opening:
        with_port = self.protocol in ("tcp", "udp")
        if with_port and self.port is None:
            raise ValueError(f"port is missing: {self.protocol} is opened port by port")
        if not with_port and self.port is not None:
            raise ValueError(f"port is not for {self.protocol}, which has none")
        return self


class Firewall(Strict):
    """nftables: a host answers on SSH, on the gateway's ports, and to hosts of the fleet that need a service of it."""

    manage: bool = Field(True, description="false: the team has a firewall of its own, and nothing of it is touched")
    ssh_from: list[Network] = Field(
        [], description="networks that may use SSH, beside the fleet's own hosts; none named: everybody"
    )
    open: list[Opening] = Field([], description="further ports")
    containers: list[Annotated[str, Field(pattern=INTERFACE)]] = Field(
        ["docker0", "br-*"], description="interfaces of the engine's networks; no network card may be named like them"
    )


class Sshd(Strict):
    """sshd: keys only, no root by password; a drop-in, checked by sshd -t."""

    manage: bool = Field(True, description="false: sshd is left as it is")
    settings: dict[Annotated[str, Field(pattern=KEYWORD)], Text] = Field(
        {}, description="further keywords of sshd_config, or other values: {'X11Forwarding': 'yes'}"
    )

    @model_validator(mode="after")
    def _ways_in(self) -> Sshd:
        """What a deploy, and the hosts among themselves, come in by."""
        if "Port" in self.settings:
            raise ValueError("settings.Port is not for here: the hosts reach each other on port 22")
        if self.settings.get("AllowTcpForwarding", "local") not in ("yes", "local", "all"):
            raise ValueError("settings.AllowTcpForwarding must be local or yes: a deploy's tests go through it")
        for keyword in ("AllowUsers", "AllowGroups"):
            if keyword in self.settings and PEER not in self.settings[keyword].split():
                raise ValueError(f"settings.{keyword} must name {PEER} too: the hosts ask each other as that user")
        return self


class Updates(Strict):
    """Security updates by themselves (unattended-upgrades); engine, databases and nginx wait for a person."""

    automatic: bool = Field(True, description="false: none; the team updates in its own way")
    keep: list[Annotated[str, Field(pattern=PACKAGE)]] = Field(
        [], description="further packages that wait for a person, by how their names begin"
    )


class Swap(Strict):
    """A swap file. A host that is a container has none."""

    size: Size = Field(description="of /swapfile")
    swappiness: int = Field(10, ge=0, le=100, description="how soon the kernel uses it")


class Hardening(Strict):
    """What all hosts are kept safe by; keys of `fleet`."""

    firewall: Firewall = Field(Firewall(), description="nftables")
    sshd: Sshd = Field(Sshd(), description="the SSH server")
    confirm_within: Duration = Field(
        "90s", description="firewall and sshd go back unless a fresh SSH connection confirms them in this time"
    )
    updates: Updates = Field(Updates(), description="security updates")
    swap: Swap | None = Field(None, description="none: swap is left as it is")
    sysctl: dict[Annotated[str, Field(pattern=KERNEL)], Text] = Field(
        {}, description="further kernel settings, or other values: {'vm.overcommit_memory': '1'}"
    )
    journal: Size = Field("1G", description="disk that the journal may use; containers' logs have limits of their own")
    memory_reserve: Size = Field("512M", description="left to the host: containers may not be promised it")
