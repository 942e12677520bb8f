"""What was before this run, kept for its record: settings on the hosts, the schema's version, moves of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, cast

from gevent.lock import Semaphore
from pyinfra.api import FunctionCommand
from pyinfra.context import ctx_state

from changeover import differences, hostconfig
from changeover.live import Live
from changeover.plan import Plan
from changeover.record_changes import Migration, Setting
from changeover.record_probe import Moment
from changeover.stack import containers
from facts.before import Told, ToldBefore
from operations import images, run
from operations.ask import at_once

Said = tuple[bool, list[str]]  # whether the host command did, and what it said
TOLD: dict[tuple[str, str], Told] = {}  # (system, host) -> what lay there
SCHEMA: dict[str, list[str]] = {}  # system -> versions before and after
MOMENTS: list[Moment] = []
_looked: list[bool] = []
_lock = Semaphore()
LABELS = {
    "switch": "traffic to {to}",
    "step": "{to} in part",
    "confirm": "{to} is confirmed",
    "back": "back to {before}",
}


def look(plan: Plan) -> None:
    """Keeps what hosts were told of the systems that this run takes to another release, or to other settings.

    All hosts at once, by whichever comes here first while the run is planned: nothing is written by then.
    """
    with _lock:
        if _looked or run.dry():
            return
        _looked.append(True)
        active = {one.name: one for one in ctx_state.get().inventory.get_active_hosts()}
        for system in plan.systems:
            hosts = {member.name: active[member.name] for member in plan.group(system) if member.name in active}
            if hosts and run.live(system).release.live and run.rolls_out(system):
                answers = at_once(hosts, partial(_told, system, plan.run_dir(system)))
                TOLD.update({(system, name): told for name, told in answers.items()})


def _told(system: str, directory: str, one: Any) -> Told:
    return cast(Told, one.get_fact(ToldBefore, system=system, directory=directory))


def settings(plan: Plan, system: str, live: Live) -> tuple[list[Setting] | None, str]:
    """The settings that this run changes (None: nobody looked), and why there may be more.

    Arguments: the plan; the system; what was live when the run began.
    """
    told = {member.name: TOLD[system, member.name] for member in plan.group(system) if (system, member.name) in TOLD}
    if live.release.live is None or not told:
        return None, ""
    slots = {name: slot.live for name, slot in live.slots.items() if slot.live}
    old, new, late = {}, {}, []
    for name, one in told.items():
        try:
            old[name], digests = differences.before(one.compose, slots)
        except ValueError as error:
            return None, f"{name}: {error}"
        late += [f"{container} on {name}" for container in differences.drifted(digests, one.running)]
        known = images.known(system, live)
        new[name] = differences.after(containers(plan, system, name, known, run.secrets()))
    first = plan.coordinator(system).name
    changed = differences.differences(old, new)
    if first in told:
        changed += differences.command(told[first].command, hostconfig.config(plan, system, first))
    shown = [Setting.model_validate({key: run.mask(text) for key, text in one}) for one in changed]
    run_on = f"{', '.join(late)}: an earlier run wrote settings that never went live; what they add is not listed"
    return shown, run_on if late else ""


def migrated(system: str, version: Callable[[], str]) -> Generator[FunctionCommand]:
    """Notes the schema's version: once before and once after the commands between. Arguments: the system; what asks."""

    def note(state: Any, host: Any) -> bool:
        SCHEMA.setdefault(system, []).append(version())
        return True

    yield FunctionCommand(note, (), {})


def migration(system: str) -> Migration | None:
    """What became of the schema; None where this run had none to change."""
    found = SCHEMA.get(system)
    return Migration(from_=found[0], to=found[-1] if len(found) > 1 else "") if found else None


def moved(
    system: str, kind: Literal["switch", "step", "confirm", "back"], label: str = "", since: datetime | None = None
) -> None:
    """Notes a move of the traffic that is done now, by this machine's clock, which the prober's samples have too.

    Arguments: the system; the kind; words for a person (default: moments() has them); when it was asked for (default:
    now).
    """
    until = datetime.now(UTC)
    MOMENTS.append(Moment(system=system, kind=kind, label=label, at=since or until, until=until))


def forth(system: str, ask: Callable[[], Said]) -> Said:
    """Asks for the switch, and notes it where it was done. Arguments: the system; what asks."""
    since = datetime.now(UTC)
    done, said = ask()
    if done:
        moved(system, "switch", since=since)
    return done, said


def back(system: str, ask: Callable[[], Said]) -> Said:
    """The same for the way back."""
    since = datetime.now(UTC)
    done, said = ask()
    if done:
        moved(system, "back", since=since)
    return done, said


def moments() -> list[Moment]:
    """The moves of the traffic in this run, each with words that name the release."""
    names = {one.system: {"to": run.release(one.system), "before": run.known_release(one.system)} for one in MOMENTS}
    return [
        one if one.label else one.model_copy(update={"label": LABELS[one.kind].format(**names[one.system])})
        for one in MOMENTS
    ]
