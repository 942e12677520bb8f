"""Where gates ask: which slot of each service is the new one and which the old, and with which words. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from changeover.live import Live, SlotState, places
from changeover.logins import reader
from changeover.plan import Plan
from changeover.routes import health_paths, service_of
from changeover.settings import App, Gate, Postgres, Step
from changeover.settings_gates import DEFAULTS, Source
from changeover.stack import wanted_release
from changeover.words import seconds

ROUNDS = (2, 10)  # times that a look at two slots asks each path of each, at least and at most
SHARE = 0.5  # of a source's timeout is for the asking itself; the rest for getting there and back


@dataclass(frozen=True)
class Sides:
    """{service: slot} that serves after the switch, and that of the old release beside it; and the two releases."""

    new: Mapping[str, str]
    old: Mapping[str, str]
    release: str
    before: str


def sides(plan: Plan, system: str, live: Live) -> Sides:
    """The slots of a release that goes live. A service that is new has no old slot, nor has one that stays.

    Arguments: the plan; the system; what is live.
    """
    release = wanted_release(plan, system, live)
    found = {name: {one.role: one.slot for one in places(live, name, release)} for name in plan.switched(system)}
    new = {name: roles.get("candidate", roles.get("live", "")) for name, roles in found.items()}
    old = {name: roles["live"] for name, roles in found.items() if {"candidate", "live"} <= set(roles)}
    return Sides(new, old, release, live.release.live or "nothing")


def before(plan: Plan, system: str, live: Live) -> Sides:
    """The slots that serve before a release goes live. Arguments as in sides."""
    slots = {name: slot for name in plan.switched(system) if (slot := live.slots.get(name, SlotState()).live)}
    release = live.release.live or "nothing"
    return Sides(dict(slots), {}, release, release)


def gates(plan: Plan, system: str, step: Step | None = None) -> list[Gate]:
    """The gates of a system in its soak: its own, or those of DEFAULTS that its prober and the soak allow.

    Of a weighted step: those of them that it names, or that can decide in its time.
    """
    settings = plan.systems[system]
    length = seconds(step.hold if step else settings.release.soak)
    if settings.gates is not None:
        wanted = [gate for gate in settings.gates if step is None or in_time(gate, length)]
    elif not settings.domain or not plan.switched(system):
        wanted = []
    else:
        fits = [gate for gate in DEFAULTS if in_time(gate, length)]
        wanted = [gate for gate in fits if not gate.baseline or pages(plan, system, gate.source)]
    return [gate for gate in wanted if step is None or step.gates is None or gate.name in step.gates]


def in_time(gate: Gate, length: float) -> bool:
    """Whether a gate can decide against a release within so many seconds."""
    return (gate.fail_limit + 1) * seconds(gate.every) <= length


def pages(plan: Plan, system: str, source: Source) -> list[tuple[str, str]]:
    """(service, path as it sees it) of the prober's GETs that a source is about and services with slots answer."""
    settings = plan.systems[system]
    paths = [one.path for one in settings.release.probe if one.method == "GET"] or health_paths(settings)
    found = [service_of(settings, path) for path in paths if source.path in (None, path)]
    return [one for one in found if one and one[0] in plan.switched(system)]


def rounds(plan: Plan, system: str, gate: Gate) -> int:
    """How often a look at two slots asks each path of each: `min_samples` of them come in half of the window."""
    looks = max(1, int(seconds(gate.window) / seconds(gate.every) / 2))
    wanted = math.ceil(gate.min_samples / max(1, looks * asked_at_once(plan, system, gate.source)))
    return min(max(wanted, ROUNDS[0]), ROUNDS[1])


def asked_at_once(plan: Plan, system: str, source: Source) -> int:
    """Requests of one round of a look at two slots, of each of them: every path on every host of its service."""
    return sum(len(plan.hosts_of(system, service)) for service, _ in pages(plan, system, source))


def url(plan: Plan, system: str, host: str, service: str, slot: str, path: str) -> str:
    """A path of a service's slot on one of its hosts, as the host itself asks for it."""
    found = plan.systems[system].services[service]
    assert isinstance(found, App) and found.slots
    return f"http://{plan.hosts[host].address}:{getattr(found.slots, slot)}{path}"


def headers(plan: Plan, system: str) -> dict[str, str]:
    """What an application needs to see to answer as through the gateway."""
    settings = plan.systems[system]
    named = {"Host": settings.domain} if settings.domain else {}
    return {**named, "X-Forwarded-Proto": "https" if settings.tls else "http", "User-Agent": "changeover-gate"}


def in_slot(system: str, service: str, slot: str, source: Source) -> list[str]:
    """The words that run a source's command in a slot's container."""
    return [*limited(source), "docker", "exec", f"{system}-{service}-{slot}-1", *(source.cmd or ())]


def query(plan: Plan, system: str, source: Source, filled: str) -> tuple[str, list[str]]:
    """The host of a source's database, and the words that ask it. Arguments: plan; system; source; the SQL to send."""
    services = plan.systems[system].services
    name = source.service or next(key for key, one in services.items() if isinstance(one, Postgres))
    service = services[name]
    assert isinstance(service, Postgres)
    options = f"-c default_transaction_read_only=on -c statement_timeout={math.ceil(seconds(source.timeout) * 1000)}"
    words = ["docker", "exec", "-e", f"PGOPTIONS={options}", f"{system}-{name}-1", "psql", "-X", "-At"]
    words += ["-v", "ON_ERROR_STOP=1", "-U", reader(service.owner), "-d", service.database, "-c", filled]
    return plan.hosts_of(system, name)[0].name, [*limited(source), *words]


def instant(prometheus: str, filled: str, timeout: str) -> str:
    """The URL of an instant query. Source: Prometheus, "HTTP API"."""
    asked = urlencode({"query": filled, "timeout": f"{math.ceil(seconds(timeout) * 1000)}ms"})
    return f"{prometheus.rstrip('/')}/api/v1/query?{asked}"


def limited(source: Source) -> list[str]:
    """Words before a command that end it on the host itself, also when nobody waits for it any more.

    Of `docker exec` they end the client: what it began in the container goes on.
    """
    return ["timeout", "-k", "1", f"{seconds(source.timeout):g}"]


def fill(text: str, slot: str, release: str) -> str:
    """A query with its slot and release. Arguments: the text; what they are."""
    return text.replace("$slot", slot).replace("$release", release)


def databases(plan: Plan, system: str) -> list[str]:
    """Names of the postgres services that gates of a system ask."""
    wanted: Sequence[Gate] = plan.systems[system].gates or ()
    services = plan.systems[system].services
    known = [name for name, one in services.items() if isinstance(one, Postgres)]
    return list(dict.fromkeys(gate.source.service or known[0] for gate in wanted if gate.source.sql))
