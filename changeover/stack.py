"""The containers a host runs for a system: resolved, so that the compose template only prints.

Pure. Container names: a service without slots has its own name, one with slots `<service>-<slot>`.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from changeover.confine import confined
from changeover.live import Live, Place, SlotState, places
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.settings import App, Health, Nats, Postgres, Service
from changeover.texts import fill, values
from changeover.words import whole_seconds

CONFIG = "changeover.config"


@dataclass(frozen=True)
class Secret:
    """A file under /run/secrets, or a variable: its name, and its value."""

    name: str
    value: str = field(repr=False)
    uid: int | None = None


@dataclass(frozen=True)
class ContainerSpec:
    """One container as compose wants it, before YAML."""

    name: str
    service: str
    layer: int
    release: str
    slot: str  # empty for a service without slots
    role: str  # live, candidate or previous (changeover/live.py); a service without slots is live
    body: dict[str, Any]
    secrets: list[Secret]
    start_timeout: int
    variables: list[Secret] = field(default_factory=list)  # secrets that `docker inspect` shows


def wanted_release(plan: Plan, system: str, live: Live) -> str:
    """The release this run is about: asked for, or live, or the first one."""
    return plan.asked_release(system) or live.release.live or plan.systems[system].initial_release


def containers(plan: Plan, system: str, host: str, live: Live, secrets: Secrets) -> list[ContainerSpec]:
    """All containers of a system on a host, layer by layer.

    Arguments: the plan; names of system and host; what is live; where secret values come from.
    """
    release = wanted_release(plan, system, live)
    switched = plan.switched(system)
    result = []
    for name, service in plan.services_on(system, host).items():
        found: Sequence[Place | None] = places(live, name, release) if name in switched else [None]
        result += [_container(plan, system, host, name, service, place, release, live, secrets) for place in found]
    return sorted(result, key=lambda c: c.layer)


def rolls_out(plan: Plan, system: str, live: Live) -> bool:
    """Whether this run brings a release, a service or settings that are not live, and so ends with a switch."""
    return new_release(plan, system, live) or live.drifted or bool(unplaced(plan, system, live))


def new_release(plan: Plan, system: str, live: Live) -> bool:
    """Whether this run brings another release than the live one."""
    return wanted_release(plan, system, live) != live.release.live


def drifted(specs: Sequence[ContainerSpec], running: Mapping[str, str], role: str = "live") -> list[str]:
    """Slots of a role whose containers have other settings. Argument: container -> its `changeover.config` label."""
    chosen = [spec for spec in specs if spec.slot and spec.role == role]
    return [s.name for s in chosen if s.name in running and running[s.name] != s.body["labels"][CONFIG]]


def unplaced(plan: Plan, system: str, live: Live) -> list[str]:
    """Services with slots that are not live yet, or with another release than the system: only a switch mends that.

    Such as one that was taken out of the settings, and is put back when releases have gone by.
    """
    slots = {name: live.slots.get(name, SlotState()) for name in plan.switched(system)}
    return [n for n, one in slots.items() if one.live is None or one.release(one.live) != live.release.live]


def image(plan: Plan, system: str, name: str, service: Service, release: str) -> str:
    """The image's full name, placeholders filled in."""
    template = service.image or plan.systems[system].image
    return template.format(
        registry=plan.fleet.registry, mirror=plan.fleet.mirror, system=system, service=name, release=release
    )


def follows_release(plan: Plan, system: str, service: Service) -> bool:
    """Whether a service's image is another with each release."""
    return "{release}" in (service.image or plan.systems[system].image)


def _container(
    plan: Plan,
    system: str,
    host: str,
    name: str,
    service: Service,
    place: Place | None,
    release: str,
    live: Live,
    source: Secrets,
) -> ContainerSpec:
    slot, release, role = (place.slot, place.release, place.role) if place else ("", release, "live")
    secrets, variables = _secrets(plan, system, service, source), values(plan, system, service.secret_env, source)
    container = f"{name}-{slot}" if slot else name
    tagged = image(plan, system, name, service, release)
    body: dict[str, Any] = {
        "image": live.pinned(release, name, tagged),
        "restart": "unless-stopped",
        "init": True,
        "stop_grace_period": service.stop_grace,
        "cpus": service.cpus,
        "cpu_shares": max(2, round(1024 * service.cpus_reserve)),
        "mem_limit": service.memory,
        "mem_reservation": service.memory_reserve,
        **confined(plan, system, name, service),
        "logging": {"driver": "local", "options": {"max-size": "20m", "max-file": "5"}},
        "environment": _environment(plan, system, service, slot),
        "ports": _ports(plan, host, service, slot),
        "labels": {"changeover.system": system, "changeover.service": name},
    }
    if follows_release(plan, system, service):
        body["labels"]["changeover.release"] = release  # on a database it would mean a restart with each release
    if slot:
        body["labels"]["changeover.slot"] = slot
    if service.command:
        body["command"] = list(service.command)
    if service.uid:
        body["user"] = f"{service.uid}:{service.uid}"
    if health := _health(service):
        body["healthcheck"] = health
    if secrets:
        body["secrets"] = [{"source": f"{container}.{s.name}", "target": s.name} for s in secrets]
    if variables:
        # Not required: compose reads the files of all services, of those that this run leaves alone as well.
        body["env_file"] = [{"path": f"{plan.run_dir(system)}/secrets/{container}.env", "required": False}]
    read = {s.name: s.value for s in secrets} | {f"env {name}": value for name, value in variables.items()}
    if isinstance(service, Postgres):
        read.pop(service.superuser_secret)  # only the first start reads it; afterwards the database has it
    if read:
        # Compose does not look into the files: this label makes a changed secret restart the container.
        body["labels"]["changeover.secrets"] = _digest(read)
    _kind(body, service)
    if slot:
        # What differs between the slots of one release is left out: this tells new settings from a new slot.
        left_out = ("ports", "labels", "environment", "env_file")
        same = {key: value for key, value in body.items() if key not in left_out}
        same["image"] = tagged  # a digest that is written down is no other setting
        same["environment"] = _environment(plan, system, service, "")
        same["secrets"] = [body["labels"]["changeover.secrets"], *read] if read else ""
        body["labels"][CONFIG] = _digest(same)
    timeout = whole_seconds(service.start_timeout)
    shown = [Secret(key, value) for key, value in variables.items()]
    return ContainerSpec(container, name, service.layer, release, slot, role, body, secrets, timeout, shown)


def _kind(body: dict[str, Any], service: Service) -> None:
    """What a kind adds in its image's own interface."""
    if isinstance(service, Postgres):
        body["environment"] |= {
            "POSTGRES_PASSWORD_FILE": f"/run/secrets/{service.superuser_secret}",
            "POSTGRES_DB": service.database,
            "POSTGRES_INITDB_ARGS": "--data-checksums",
        }
        body["volumes"] = ["data:/var/lib/postgresql/data"]
        body["shm_size"] = "256m"
        body["stop_signal"] = "SIGINT"  # fast shutdown: SIGTERM would wait for every client
        if service.settings:
            body["command"] = ["postgres"] + [w for k, v in service.settings.items() for w in ("-c", f"{k}={v}")]
    elif isinstance(service, Nats):
        body["volumes"] = ["nats:/data"]
        body["command"] = body.get("command") or ["-js", "-sd", "/data", "-m", str(service.monitoring)]


def _environment(plan: Plan, system: str, service: Service, slot: str) -> dict[str, str]:
    values = {key: fill(plan, system, text) for key, text in service.env.items()}
    return values | ({"DEPLOYMENT_SLOT": slot} if slot else {})


def _ports(plan: Plan, host: str, service: Service, slot: str) -> list[str]:
    """Published on the private address only; development ports on loopback, and nowhere in production."""
    private = plan.hosts[host].address
    port = getattr(service.slots, slot) if slot and isinstance(service, App) and service.slots else service.publish
    ports = [f"{private}:{port}:{service.port}"] if port else []
    if plan.fleet.environment != "production":
        ports += [f"127.0.0.1:{outer}:{inner}" for outer, inner in service.dev_ports.items()]
    return ports


def _secrets(plan: Plan, system: str, service: Service, source: Secrets) -> list[Secret]:
    named = values(plan, system, service.secrets, source)
    if isinstance(service, Postgres):
        named[service.superuser_secret] = source.get(system, service.superuser_secret)
    return [Secret(name, value, service.uid) for name, value in named.items()]


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _health(service: Service) -> dict[str, Any] | None:
    health = service.health
    if isinstance(service, Nats) and not health:
        health = Health(http="/healthz", port=service.monitoring, retries=3, start_period="10s")
    if not health:
        return None
    if health.cmd:
        test = ["CMD", *health.cmd]
    else:
        url = f"http://127.0.0.1:{health.port or service.port}{health.http}"
        test = ["CMD-SHELL", http_probe(url, whole_seconds(health.timeout))]
    return {
        "test": test,
        "interval": health.interval,
        "timeout": health.timeout,
        "retries": health.retries,
        "start_period": health.start_period,
        "start_interval": "1s",  # until the first success, so that nobody waits for a long interval
    }


def http_probe(url: str, timeout: int) -> str:
    """A shell line that succeeds on HTTP 200 with whatever client the image has (curl, wget or Python)."""
    python = f"import urllib.request as u; u.urlopen('{url}', timeout={timeout})"
    quoted = shlex.quote(url)
    return (
        f"if command -v curl >/dev/null; then curl -fsS -o /dev/null -m {timeout} {quoted}; "
        f"elif command -v wget >/dev/null; then wget -q -T {timeout} -O /dev/null {quoted}; "
        f'else python3 -c "{python}"; fi'
    )
