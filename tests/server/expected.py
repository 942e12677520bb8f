"""What Docker must report for a service, and which ports a host must listen on: from the settings, pure.

Limits, ports, users and health times come from the settings and not from changeover.stack, so that a value that
the compose file loses is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from changeover import gateway
from changeover.files import File
from changeover.fleet import Plan
from changeover.live import Live, SlotState, other
from changeover.settings import App, Gateway, Limits, Service
from changeover.stack import ContainerSpec, follows_release, image
from changeover.words import octets, seconds

from .places import GATEWAY, NGINX

NANO = 1_000_000_000


@dataclass(frozen=True)
class Expected:
    """One container: its compose service, and what `docker inspect` must show."""

    name: str
    image: str
    limits: dict[str, int]
    stop_timeout: int
    user: str | None = None
    capabilities: tuple[str, ...] = ()
    read_only: bool = True
    pids: int = 512
    tmpfs: frozenset[str] = frozenset()
    command: list[str] | None = None
    health: dict[str, Any] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    ports: frozenset[tuple[str, int, int]] = frozenset()  # (host address, host port, container port)


def limits(settings: Limits | Gateway) -> dict[str, int]:
    """Limits and reservations as Docker counts them."""
    return {
        "NanoCpus": round(settings.cpus * NANO),
        "Memory": octets(settings.memory),
        "MemoryReservation": octets(settings.memory_reserve),
        "CpuShares": max(2, round(1024 * settings.cpus_reserve)),
    }


def health(words: list[str], **times: Any) -> dict[str, Any]:
    """A health check as Docker shows it; times are durations of the settings."""
    shown = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod"}
    return {
        "Test": words,
        "Retries": times["retries"],
        **{name: round(seconds(times[key]) * NANO) for key, name in shown.items()},
    }


def container(plan: Plan, system: str, machine: str, spec: ContainerSpec) -> Expected:
    """What a container of a service must be."""
    service = plan.systems[system].services[spec.service]
    slot = spec.name.removeprefix(f"{spec.service}-") if spec.name != spec.service else ""
    check = spec.body.get("healthcheck")
    times = service.health.model_dump() if service.health else check
    labels = {"changeover.system": system, "changeover.service": spec.service}
    if follows_release(plan, system, service):
        labels["changeover.release"] = spec.release
    digest = "".join(spec.body["image"].partition("@")[1:])  # state.json's: which bytes the tag meant
    return Expected(
        name=spec.name,
        image=image(plan, system, spec.service, service, spec.release) + digest,
        limits=limits(service),
        stop_timeout=round(seconds(service.stop_grace)),
        user=f"{service.uid}:{service.uid}" if service.uid else None,
        capabilities=tuple(sorted(service.capabilities)),
        read_only=service.read_only,
        pids=service.pids,
        tmpfs=frozenset(entry.partition(":")[0] for entry in service.tmpfs),
        command=spec.body.get("command"),
        health=health(check["test"], **times) if check else None,
        labels={**labels, "com.docker.compose.project": system} | ({"changeover.slot": slot} if slot else {}),
        env=spec.body["environment"],
        ports=published(plan, machine, service, slot),
    )


def nginx(plan: Plan) -> Expected:
    """What the gateway's container must be."""
    compose: File = gateway.compose(plan)
    check = yaml.safe_load(compose.content)["services"][NGINX]["healthcheck"]
    words = [word.replace("$$", "$") for word in check["test"]]
    return Expected(
        name=NGINX,
        image=gateway.image(plan),
        limits=limits(plan.fleet.gateway),
        stop_timeout=30,
        capabilities=("CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID"),
        tmpfs=frozenset(["/run", "/tmp"]),
        # S1, "Health Check Configuration", nginx
        health=health(words, interval="30s", timeout="10s", retries=3, start_period="10s"),
        labels={"com.docker.compose.project": GATEWAY},
    )


def published(plan: Plan, machine: str, service: Service, slot: str) -> frozenset[tuple[str, int, int]]:
    """Ports of a container: on the private address; development ports on loopback, and none in production."""
    outer = getattr(service.slots, slot) if isinstance(service, App) and service.slots else service.publish
    found = {(plan.hosts[machine].address, outer, service.port)} if outer else set()
    if plan.fleet.environment != "production":
        found |= {("127.0.0.1", outer, inner) for outer, inner in service.dev_ports.items()}
    return frozenset(found)


def listening(plan: Plan, machine: str, live: dict[str, Live]) -> dict[tuple[str, int], str]:
    """{(address, port): whose} of all that our containers must listen on, on a host. 0.0.0.0: the public ones."""
    found = _ports(plan, machine, live, idle=False)
    if plan.fleet.gateway.on in plan.hosts[machine].groups:
        # Both, also without any certificate: the https port then turns everybody away.
        for port in (plan.fleet.gateway.http_port, plan.fleet.gateway.https_port):
            found["0.0.0.0", port] = GATEWAY
    return found


def idle_ports(plan: Plan, machine: str, live: dict[str, Live]) -> dict[tuple[str, int], str]:
    """The same for the slots that are not live: they may listen, as long as they are warm."""
    return _ports(plan, machine, live, idle=True)


def _ports(plan: Plan, machine: str, live: dict[str, Live], idle: bool) -> dict[tuple[str, int], str]:
    found = {}
    for system in plan.systems_on(machine):
        for name, service in plan.services_on(system, machine).items():
            slot = ""
            if name in plan.switched(system):
                slot = live[system].slots.get(name, SlotState()).live or "blue"
            if slot or not idle:
                for address, port, _ in published(plan, machine, service, other(slot) if idle else slot):
                    found[address, port] = f"{system}.{name}"
    return found


@dataclass(frozen=True)
class Idle:
    """The slot of a service that is not live: the release that state.json names for it, and whether it runs.

    `runs` None: it may or may not.
    """

    name: str
    slot: str
    release: str | None
    runs: bool | None


def idle(plan: Plan, system: str, name: str, state: dict[str, Any]) -> Idle | None:
    """What the idle slot of a service must be, by a host command's state.json; None for a service without slots.

    Without traffic it is stopped with the switch. With traffic it runs while it is the way back, until it is retired;
    after a rollback it is nobody's way anywhere, and may do either. One that was given up is stopped.
    """
    slots = state["slots"].get(name)
    if name not in plan.switched(system) or not slots or not slots["live"]:
        return None
    slot = other(slots["live"])
    runs = None
    if not getattr(plan.systems[system].services[name], "slots", None) or state["retired"] or not slots[slot]:
        runs = False
    elif state["release"]["previous"] and name in state["switched"]:
        runs = True
    return Idle(f"{name}-{slot}", slot, slots[slot], runs)
