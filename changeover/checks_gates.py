"""Gates against the rest of the settings: what they ask must be there, and a verdict must be possible in the soak."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from changeover import gate_asks
from changeover.gate_asks import in_time
from changeover.plan import Plan
from changeover.problems import Problem, nearest
from changeover.routes import health_paths
from changeover.settings import App, Gate, Postgres, Step, System
from changeover.settings_gates import DEFAULTS, Source
from changeover.words import seconds

READERS = 14  # the first major version with pg_read_all_data
RATE = 10.0  # requests a second that the prober sends at most (changeover/probe.py)
PUNCTUAL = 0.8  # of them it sends on a busy machine


def gates(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    """What no gate can know by itself. Arguments: as of `checks`."""
    for name, system in plan.systems.items():
        for number, gate in enumerate(system.gates or ()):
            for key, message in _gate(plan, name, system, gate):
                yield Problem(file_of[name], f"{name}.gates.{number}.{key}", f"{message} (gate {gate.name})")
        for number, step in enumerate(system.release.steps):
            for message in _step(system, step):
                yield Problem(file_of[name], f"{name}.release.steps.{number}.gates", message)


def _step(system: System, step: Step) -> Iterable[str]:
    """What a weighted step names must be there, and be able to decide in its time."""
    known = {gate.name: gate for gate in (DEFAULTS if system.gates is None else system.gates)}
    for name in step.gates or ():
        if name not in known:
            yield f"no gate {name}{nearest(name, known)}"
        elif not in_time(known[name], seconds(step.hold)):
            looks = f"{known[name].fail_limit + 1} looks of {known[name].every}"
            yield f"{name} can never decide here: {looks} are longer than hold, {step.hold}"


def _gate(plan: Plan, name: str, system: System, gate: Gate) -> Iterable[tuple[str, str]]:
    source, soak = gate.source, system.release.soak
    if not plan.switched(name):
        yield "source", f"no service of {name} has slots: a release replaces it in place, and nothing is watched"
        return
    if (gate.fail_limit + 1) * seconds(gate.every) > seconds(soak):
        needed = f"{gate.fail_limit + 1} looks of {gate.every} are longer than release.soak, {soak}"
        yield "fail_limit", f"can never be reached: {needed}; raise soak or lower it"
    if source.promql and not system.prometheus:
        yield "source.promql", f"needs {name}.prometheus, the address that is asked"
    if source.probe:
        yield from _probe(system, gate)
        if gate.baseline:
            yield from _beside(plan, name, gate)
    elif source.sql:
        yield from _database(system, gate)
    elif source.service or source.cmd:
        yield from _slot(plan, name, system, gate)
    if source.http and not source.service and not system.domain:
        yield "source.http", f"goes through the gateway, which needs {name}.domain; or name a service to ask its slot"


def _probe(system: System, gate: Gate) -> Iterable[tuple[str, str]]:
    release, source = system.release, gate.source
    if not system.domain:
        yield "source.probe", "there is no prober without a gateway; give the system a domain"
    paths = [one.path for one in release.probe]
    if source.path and source.path not in paths:
        yield "source.path", f"{source.path} is none of release.probe{nearest(source.path, paths)}"
    if source.method == "WS" and not release.websocket:
        yield "source.method", "is WS, and release.websocket is missing"
    if source.method == "POST" and not any(one.method == "POST" for one in release.probe):
        yield "source.method", "is POST, and release.probe has none"
    window = min(seconds(gate.window), seconds(release.soak))
    sent = RATE * window * _share(system, source) * PUNCTUAL
    if source.method != "WS" and not gate.baseline and 0 < sent < gate.min_samples:
        of_them = "such requests" if source.path or source.method else "requests"
        half = " of each of its clients" if release.steps else ""
        most = f"the prober sends {math.floor(sent)} {of_them}{half} in {window:g} s"
        yield "min_samples", f"{most}, so {gate.min_samples} never come; raise window or lower it"


def _share(system: System, source: Source) -> float:
    """The share of the prober's requests that a source counts; at weighted steps only one client of two does."""
    asked = [(one.method, one.path) for one in system.release.probe]
    asked = asked or [("GET", path) for path in health_paths(system)] or [("GET", "")]
    meant = [one for one in asked if source.method in (None, one[0]) and source.path in (None, one[1])]
    return len(meant) / len(asked) / (2 if system.release.steps else 1)


def _beside(plan: Plan, name: str, gate: Gate) -> Iterable[tuple[str, str]]:
    """Of two slots that are asked side by side enough answers must come in the window."""
    looks = int(seconds(gate.window) / seconds(gate.every))
    most = gate_asks.asked_at_once(plan, name, gate.source) * gate_asks.ROUNDS[1] * looks
    if not most:
        yield "source", "asks GETs of release.probe, and none of them is answered by a service with slots"
    elif gate.min_samples > most:
        yield "min_samples", f"each slot is asked {most} times in {gate.window}, so {gate.min_samples} never come"


def _database(system: System, gate: Gate) -> Iterable[tuple[str, str]]:
    names = [name for name, one in system.services.items() if isinstance(one, Postgres)]
    wanted = gate.source.service or (names[0] if len(names) == 1 else None)
    found = system.services.get(wanted or "")
    if not isinstance(found, Postgres):
        if not names:
            yield "source.sql", "needs a service of kind postgres, and there is none"
        elif wanted:
            yield "source.service", f"{wanted!r} is no service of kind postgres{nearest(wanted, names)}"
        else:
            yield "source.service", f"is missing: which of {', '.join(names)}?"
    elif found.major < READERS:
        yield "source.sql", f"needs PostgreSQL {READERS}, where a role may be given all to read; this is {found.major}"


def _slot(plan: Plan, name: str, system: System, gate: Gate) -> Iterable[tuple[str, str]]:
    switched, wanted = plan.switched(name), gate.source.service
    if wanted is None:
        yield "source.service", f"is missing: in whose slot? One of {', '.join(switched)}"
    elif wanted not in switched:
        why = "has no slots that a release switches" if wanted in system.services else "is no service"
        yield "source.service", f"{wanted} {why}{nearest(wanted, switched)}"
    elif gate.source.http and not (isinstance(one := system.services[wanted], App) and one.slots):
        yield "source.service", f"{wanted} has no slots with ports, so nobody can ask it; use cmd"
    elif gate.baseline and not (isinstance(one := system.services[wanted], App) and one.slots):
        yield "baseline", f"the old slot of {wanted} is stopped at the switch, as it has no traffic; give value"
