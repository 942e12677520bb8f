"""Where the command works: /etc/changeover/<system>.json, compiled by the control side, and paths below one root."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import Any

from hostcmd import SCHEMA, durable
from hostcmd.stop import PERSON, USAGE, Stop

SYSTEM = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Service:
    """A service with slots. Times in seconds."""

    name: str
    hosts: tuple[str, ...]
    traffic: bool
    singleton: bool
    stop_grace: float
    start_timeout: float
    drain: float


@dataclass(frozen=True)
class Site:
    """One system as this host sees it. Times in seconds."""

    root: str
    system: str
    me: str
    environment: str
    coordinator: str
    gateways: tuple[str, ...]
    hosts: dict[str, dict[str, Any]]
    services: dict[str, Service]
    run_dir: str
    slots_dir: str
    lease: float
    keep_warm: float
    keep_releases: int
    strategy: str = "blue_green"
    order: tuple[str, ...] = ()  # in which a rolling release takes the hosts
    steps: tuple[int, ...] = ()  # percentages below 100 that the gateways know, rising
    migration: tuple[str, str] | None = None  # host and container in which the deploy changes the schema

    def path(self, path: str) -> str:
        """A host's path below the root that is worked in."""
        return os.path.join(self.root, path.lstrip("/"))

    def kept(self, name: str = "") -> str:
        """A path in the system's state folder."""
        return self.path(f"/var/lib/changeover/{self.system}/{name}".rstrip("/"))

    @property
    def coordinates(self) -> bool:
        """Whether this host is the coordinator."""
        return self.me == self.coordinator


def root() -> str:
    """The root to work in: / on a host, elsewhere in a test."""
    return os.environ.get("CHANGEOVER_ROOT") or "/"


def systems(base: str) -> list[str]:
    """Systems that are set up on this host."""
    try:
        names = os.listdir(os.path.join(base, "etc/changeover"))
    except FileNotFoundError:
        return []
    found = [name[: -len(".json")] for name in names if name.endswith(".json")]
    return sorted(name for name in found if SYSTEM.fullmatch(name))


def load(base: str, system: str) -> Site:
    """The settings of a system. Raises Stop: 2 for a name that is not here, 6 for a damaged file."""
    name = f"/etc/changeover/{system}.json"
    known = systems(base)
    if system not in known:
        here = ", ".join(known) or "none"
        raise Stop(
            USAGE, f"system {system} is not set up on this host (systems here: {here})", "changeover --help"
        )
    try:
        values = json.loads(durable.read(os.path.join(base, name.lstrip("/"))) or "")
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']}, this command knows {SCHEMA}")
        return parse(base, values)
    except (ValueError, KeyError, TypeError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise Stop(
            PERSON, f"{name} cannot be used: {text}", "run the deploy again: it writes that file"
        ) from error


def fingerprint(site: Site) -> str:
    """A name for the settings that this host was given: the same on all hosts that one deploy reached."""
    values = json.loads(durable.read(site.path(f"/etc/changeover/{site.system}.json")) or "{}")
    text = json.dumps({**values, "me": ""}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def parse(base: str, values: dict[str, Any]) -> Site:
    """The settings in parsed JSON. Raises KeyError, TypeError, ValueError."""
    services = {
        name: Service(
            name,
            tuple(one["hosts"]),
            bool(one["traffic"]),
            bool(one["singleton"]),
            float(one["stop_grace"]),
            float(one["start_timeout"]),
            float(one["drain"]),
        )
        for name, one in values["services"].items()
    }
    migration = values.get("migration")
    return Site(
        root=base,
        system=values["system"],
        me=values["me"],
        environment=values["environment"],
        coordinator=values["coordinator"],
        gateways=tuple(values["gateways"]),
        hosts=dict(values["hosts"]),
        services=services,
        run_dir=values["run_dir"],
        slots_dir=values["slots_dir"],
        lease=float(values["lease"]),
        keep_warm=float(values["keep_warm"]),
        keep_releases=int(values["keep_releases"]),
        strategy=str(values.get("strategy", "blue_green")),
        order=tuple(values.get("order", values["hosts"])),
        steps=tuple(int(step) for step in values.get("steps", ())),
        migration=(str(migration["host"]), str(migration["container"])) if migration else None,
    )
