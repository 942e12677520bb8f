"""The one model of everything a team may write in group_data: strict, so that nothing is wrong quietly.

group_data holds plain data; this file, with the settings_*.py beside it, says what is allowed in it.
docs/settings.md is made from it. No pyinfra and no I/O here.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from changeover.settings_checklist import Checklist, Item
from changeover.settings_common import Limits, Strict
from changeover.settings_gates import Baseline, Gate, Gates, Source
from changeover.settings_hosts import Firewall, Hardening, Opening, Sshd, Swap, Updates
from changeover.settings_release import Migrations, Probe, Releasing
from changeover.settings_services import (
    App,
    Container,
    Health,
    Nats,
    Postgres,
    Ready,
    Route,
    Service,
    Slots,
)
from changeover.settings_steps import Step, Who
from changeover.settings_tests import Command, Event, Integration, Program, Smoke
from changeover.settings_tls import Acme, Tls, Way
from changeover.words import DOMAIN, NAME, REACH, URL, USER, Duration, Folder, Name, Port, Release, Size, Text

__all__ = [
    "NAME",
    "Acme",
    "App",
    "Baseline",
    "Command",
    "Container",
    "Event",
    "Firewall",
    "Fleet",
    "Gate",
    "Gateway",
    "Health",
    "Integration",
    "Item",
    "Limits",
    "Migrations",
    "Nats",
    "Opening",
    "Postgres",
    "Probe",
    "Program",
    "Ready",
    "Releasing",
    "Route",
    "Run",
    "Service",
    "Slots",
    "Smoke",
    "Source",
    "Step",
    "Sshd",
    "Strict",
    "Swap",
    "System",
    "Tls",
    "Updates",
    "Who",
]


class System(Strict):
    """What is deployed as one: one group in the inventory, one file in group_data."""

    initial_release: Release = Field(description="release of the first installation; later the hosts say what is live")
    image: str = Field("{registry}/{system}/{service}:{release}", description="image of services that name none")
    domain: str | None = Field(None, pattern=DOMAIN, description="name under which the gateway serves it")
    tls: Way = Field(None, description='files; or "acme", as fleet.gateway.acme says; none: plain HTTP only')
    run_dir: Folder | None = Field(None, description="its folder on the hosts; default /srv/SYSTEM")
    services: dict[Name, Service] = Field(min_length=1, description="its parts; the name is used everywhere")
    release: Releasing = Field(Releasing(), description="how a release goes live")
    gates: Gates | None = Field(
        None, description="numbers that a release is judged by in its soak; default: p95 and no_5xx, docs/adopt.md"
    )
    prometheus: str | None = Field(
        None, pattern=URL, description="base URL for gates with promql, as the coordinator (the first gateway) sees it"
    )
    migrations: Migrations | None = Field(None, description="none: the system has no schema of its own")
    checklist: Checklist = Field([], description="what must be so before a release, and what after it")


class Gateway(Limits):
    """The nginx of the edge hosts, shared by all systems."""

    on: str = Field("edge", description="inventory group whose hosts are gateways")
    image: str = Field("{mirror}/library/nginx:1.26", description="exact tag or digest")
    http_port: Port = Field(80, description="plain HTTP: health, redirects to HTTPS")
    https_port: Port = Field(443, description="HTTPS, HTTP/2 and WebSockets")
    acme: Acme | None = Field(None, description='the authority of systems with tls="acme"')
    keepalive: Duration = Field("75s", description="idle time of client connections")
    upstream_keepalive: Duration = Field(
        "30s",
        description="idle time of connections to apps; must be shorter than the apps' own, or POSTs fail",
    )
    reach: str | None = Field(
        None,
        pattern=REACH,
        description="address:port at which the control machine reaches it; default: the host's address, https_port",
    )
    cpus: float = Field(0.5, gt=0, allow_inf_nan=False, description="CPU limit in cores")
    memory: Size = Field("256M", description="memory limit")
    run_dir: Folder = Field("/srv/gateway", description="its folder on the hosts")

    @model_validator(mode="after")
    def _two_ports(self) -> Gateway:
        if self.http_port == self.https_port:
            raise ValueError(f"http_port and https_port are both {self.http_port}")
        return self


class Fleet(Hardening):
    """What all hosts share, whatever the system (group_data/all.py)."""

    environment: Literal["staging", "production"] = Field(
        "production", description="what these hosts are; development ports are closed in production"
    )
    registry: Text = Field(description="where the team's images come from: {registry} in image names")
    mirror: Text = Field("docker.io", description="where public images come from: {mirror} in image names")
    docker_source: Literal["docker", "debian"] = Field(
        "docker", description="Docker's apt repository, or the distribution's"
    )
    daemon: dict[str, Any] = Field({}, description="further keys of /etc/docker/daemon.json")
    deploy_user: str = Field(
        "deploy", pattern=USER, description="user that is made; in group docker, so as good as root"
    )
    deploy_keys: list[str] = Field([], description="public SSH keys that may log in as the deploy user")
    secrets_file: str = Field(
        "secrets/{environment}.env",
        description="NAME=value lines: with mode 0600 and never in git, or encrypted with age",
    )
    secrets_identity: Text | None = Field(
        None, description="file of the age identity that opens secrets_file, mode 0600; CHANGEOVER_AGE_IDENTITY wins"
    )
    secrets_command: list[Text] = Field(
        [],
        description="words of a command that prints the value of a secret that is in neither the environment nor the "
        "file; {name} {system} {environment} are filled in",
    )
    secrets_timeout: Duration = Field("20s", description="longest time for each answer of secrets_command")
    memory_overcommit: float = Field(
        1.0,
        ge=1,
        allow_inf_nan=False,
        description="how many times a host's memory all limits on it may add up to, both slots counted",
    )
    gateway: Gateway = Field(Gateway(), description="the nginx of the edge hosts")


class Run(Strict):
    """What a run may be given with --data."""

    system: str | None = Field(None, description="only this system")
    release: Release | None = Field(
        None, description="release of `system`, or of the first one; without it the live one stays"
    )
    why: Text | None = Field(None, description="the reason, for the lock, the audit and whoever reads them")
    txn: Text | None = Field(None, description="run whose report runbooks/rebuild_report.py makes; default: the last")
    answers: Text | None = Field(
        None, description="file with a line `ITEM: what was seen` for each question of the checklist"
    )
