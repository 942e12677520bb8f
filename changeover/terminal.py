"""What a person sees of a run while it goes on: the plan before it, a line a phase, what a long step waits for. Pure.

The last block is operations/recorder.py's; docs/adopt.md shows all of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from changeover import VERSION, gate_asks
from changeover.gates import LATE, LOOKS, announced
from changeover.live import BLUE, Live, SlotState, other
from changeover.plan import Plan
from changeover.report import duration, plural
from changeover.stack import new_release, rolls_out, unplaced, wanted_release
from changeover.strategy import steps, strategy
from changeover.words import seconds

LABEL = 14  # of the longest phase's name: infrastructure
WIDTH = 80
NAMED = 4  # hosts that are named one by one
SHOWN = 3  # changed steps of a phase that are named


@dataclass
class Step:
    """A step of a phase: its name without the phase, and what came of it on which hosts, in their order."""

    name: str
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def lines(label: str, text: str, took: float | None = None, width: int = 0) -> list[str]:
    """A text beside its label, as lines.

    Arguments: label (empty: the one above holds on); text; seconds at the right, or None; the terminal's width in
    columns (0: nothing is broken, as whoever searches a log wants it).
    """
    head, end = f" {label:<{LABEL}} ", "" if took is None else duration(took)
    room = width - len(head) - (len(end) + 2 if end else 0)
    parts = textwrap.wrap(text, max(room, 20), break_long_words=False, break_on_hyphens=False) if width else [text]
    first, *more = parts or [""]
    first = f"{head}{first}"
    if end:
        first = f"{first:<{(width or WIDTH) - len(end) - 2}}  {end}"
    return [first.rstrip(), *(" " * len(head) + line for line in more)]


def hosts(names: Sequence[str]) -> str:
    """Hosts, short also where they are many."""
    return " ".join(names) if len(names) <= NAMED else plural(len(names), "host")


def found(steps: Sequence[Step]) -> str:
    """What a phase has found and changed, in one text; empty where no step ran."""
    failed = [f"failed: {step.name} on {' '.join(step.failed)}" for step in steps if step.failed]
    changed = [step for step in steps if step.changed]
    if changed:
        some = changed if len(changed) <= SHOWN + 1 else changed[:SHOWN]
        rest = [f"and {len(changed) - len(some)} more of {len(steps)} steps"] if len(some) < len(changed) else []
        return "; ".join([*_named([(step.name, step.changed) for step in some]), *rest, *failed])
    well = [step for step in steps if not step.failed]
    if failed or not steps:
        return "; ".join(failed)
    if len(well) <= 2:
        return "; ".join(_named([(step.name, step.same) for step in well]))
    return f"{len(steps)} steps on {plural(len({one for s in steps for one in s.same}), 'host')}, nothing to change"


def _named(steps: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Names with their hosts; hosts, and a system's name, that are those of the step before are not said again."""
    said, before = [], ""
    for where, some in groupby(steps, lambda step: step[1]):
        names = []
        for name, _ in some:
            system, colon, rest = name.partition(": ")
            names.append(rest if colon and system == before else name)
            before = system if colon else ""
        said.append(f"{'; '.join(names)} on {hosts(where)}")
    return said


def waiting(step: str, ran: float, limit: float | None, names: Sequence[str], doing: str = "") -> str:
    """What a long step is at.

    Arguments: its name; seconds since it began; seconds that it may take, where that is known; the hosts that it is not
    done on; its own words on how far it is, where it has any.
    """
    most = f" of {duration(limit)} at most" if limit else ""
    return "; ".join(filter(None, [f"{step}: {duration(round(ran))}{most}", doing, f"waits for {hosts(names)}"]))


def opening(
    plan: Plan, states: Mapping[str, Live], to: Mapping[str, str], count: int, actor: str, whole: bool, width: int = 0
) -> list[str]:
    """The first block of a run: what goes from where to where, and what becomes of it if it fails.

    Arguments: the plan; what is live of the systems that were asked; {system: release that the run takes it to}, of
    those that it is about; the number of its hosts; who runs it; whether it is a whole deploy, which may switch; the
    terminal's width (0: nothing is broken).
    """
    moving = [name for name in to if whole and name in states and rolls_out(plan, name, states[name])]
    what = ", ".join(filter(None, (_way(plan, name, states.get(name), to[name], name in moving) for name in to)))
    words = [f"Changeover {VERSION}", what, plan.fleet.environment, plural(count, "host"), f"by {actor}"]
    head = "   ".join(filter(None, words))
    told = textwrap.wrap(head, width, subsequent_indent=" " * 13, break_on_hyphens=False) if width else [head]
    label = "plan"
    for name in moving:
        for text in _plan(plan, name, states[name]):
            said = f"{name}: {text}" if len(moving) > 1 else text
            told += lines(label, said, width=width)
            label = ""
    if whole and not moving:
        told += lines("plan", "what is not as the settings say is put right; no release, no switch", width=width)
    label = "if it fails"
    for name in moving:
        for text in _failing(plan, name, states[name]):
            told += lines(label, f"{name}: {text}" if len(moving) > 1 else text, width=width)
            label = ""
    return told


def _way(plan: Plan, name: str, live: Live | None, to: str, moves: bool) -> str:
    if live is None:
        return ""
    before = live.release.live
    if before is None:
        return f"{name} {to} (first installation)" if moves else f"{name} (not installed yet)"
    if before != to:
        return f"{name} {before} -> {to}"
    new = unplaced(plan, name, live)
    why = "new settings" if live.drifted else f"new: {', '.join(new)}" if new else ""
    return f"{name} {before} ({why})" if moves and why else f"{name} {before}"


def _plan(plan: Plan, name: str, live: Live) -> list[str]:
    settings = plan.systems[name]
    release, told = settings.release, []
    fresh = live.release.live is None or live.drifted or new_release(plan, name, live)
    ways: dict[str, dict[str, list[str]]] = {}
    for service in plan.switched(name) if fresh else unplaced(plan, name, live):
        slot = live.slots.get(service, SlotState()).live
        way = f"{slot} -> {other(slot)}" if slot else f"to {BLUE}"
        where = hosts([one.name for one in plan.hosts_of(name, service)])
        ways.setdefault(way, {}).setdefault(where, []).append(service)
    if live.release.live is None:
        how = "first installation"
    else:
        how = {
            "blue_green": "all hosts at once",
            "rolling": f"host by host, each watched for {duration(seconds(release.pause))}",
            "recreate": "the old release is stopped first, behind the maintenance page",
        }[strategy(plan, name, live)]
    for way, places in ways.items():
        told.append(f"{how}, {way}: " + "; ".join(f"{' '.join(names)} on {where}" for where, names in places.items()))
    told += [] if ways else [f"replaced in place by {wanted_release(plan, name, live)}"]
    if settings.migrations and new_release(plan, name, live):
        most = duration(seconds(settings.migrations.timeout))
        engine, service = settings.migrations.engine, settings.migrations.service
        told.append(f"schema: {engine} in {service}'s image, {most} at most; no way back undoes it")
    if taken := steps(plan, name, live):
        each = [f"{step.label} for {duration(seconds(step.hold))}" for step in taken]
        told.append(f"clients in steps: {', '.join(each)}; then all")
    if ways and live.release.live:
        told.append(f"watched for {duration(seconds(release.soak))} after the switch, then confirmed")
        many = f"{release.max_failed + 1} requests" if release.max_failed else "a request"
        told.append(f"prober: what is bad goes back {LOOKS + LATE:g} s at most after {many} failed")
        told += [f"gate {announced(gate)}" for gate in gate_asks.gates(plan, name)]
    return told


def _failing(plan: Plan, name: str, live: Live) -> list[str]:
    if live.release.live is None:
        return ["it stops there and stays as it is: there is no release before it to go back to"]
    if not plan.switched(name):
        return ["it stops there and stays as it is: it has no slots, so what it replaces is gone"]
    lease = duration(seconds(plan.systems[name].release.lease))
    stays = {"previous": "the clients of the step before stay on it", "pause": "its clients stay on it"}
    return [
        *(
            f"at step {step.label}: {stays[step.on_fail]}, and nobody watches them"
            for step in steps(plan, name, live)
            if step.on_fail in stays
        ),
        f"before it is confirmed: back by itself; {lease} at most when this machine is gone",
        f"after: sudo changeover rollback {name}   (on any of its hosts; code only, loses nothing)",
    ]
