"""What must be true before anything is changed: of every host, all findings at once, each with what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from gevent.lock import Semaphore
from pyinfra import host
from pyinfra.api import deploy
from pyinfra.api.exceptions import PyinfraError
from pyinfra.context import ctx_state

from changeover.fitness import entry, findings, may_look, packaged, together
from changeover.fleet import Plan
from changeover.held import DAEMON
from changeover.live import Live
from changeover.look import question
from changeover.pins import moved_tags
from changeover.slots import moved
from changeover.stack import rolls_out, wanted_release
from facts.compose import SlotPorts
from facts.fitness import Entry, Fitness
from operations import flow, guard, integration, run, tls_files
from operations.ask import at_once

Found = dict[str, list[str]]  # host -> what speaks against it
_found: Found = {}
TAGS: dict[str, str] = {}  # image -> its digest in the registry, of those that this run brings
_lock = Semaphore()


class Unfit(Exception):
    """Hosts that cannot even be looked at; the findings of all hosts."""

    def __init__(self, found: Found):
        super().__init__("hosts are not fit")
        self.found = found


@deploy("preflight")
def preflight(plan: Plan, live: dict[str, Live], found: Sequence[str] = (), more: Sequence[str] = ()) -> None:
    """Refuses this host, or goes on.

    Arguments: the plan; what is live of each system of the host; what speaks against the host; against what this run
    asks for, where the host coordinates it.
    """
    problems = [
        *(f"{host.name}: {line}" for line in found),
        *(
            line
            for system, state in live.items()
            if state.release.live
            for line in moved(plan, system, host.name, state, host.get_fact(SlotPorts, system=system))
        ),
        *guard.problems(plan, host.name),
        *more,
    ]
    flow.require(name="the host is fit", problems=problems, fact="fit for what runs on it")


def fit(plan: Plan) -> Found:
    """{host: what speaks against it}. All hosts are asked, at once, by whichever comes here first.

    Ends the run here where a host cannot even be looked at, or what is live cannot be known; a run that only plans
    says what it found, and goes on.
    """
    with _lock:
        if not _found:
            hosts = {one.name: one for one in ctx_state.get().inventory.get_active_hosts()}
            try:
                _found.update(_look(plan, hosts))
            except Unfit as error:
                run.refuse(*map(run.mask, refusal(error.found)))
            if run.dry() and any(_found.values()):
                click.echo("\n".join(refusal(_found)), err=True)
        return _found


def _look(plan: Plan, hosts: Mapping[str, Any]) -> Found:
    accesses = at_once(hosts, lambda one: one.get_fact(Entry, _sudo=False))
    found = {
        name: [*entry(accesses[name], run.by_sudo(one)), *packaged(plan, accesses[name])] for name, one in hosts.items()
    }
    open_ = {name: one for name, one in hosts.items() if may_look(accesses[name], run.by_sudo(one))}
    asked = [system for system in plan.systems if any(system in plan.systems_on(name) for name in hosts)]
    states: dict[str, Live] = {}
    for system in asked:
        if all(member.name in open_ for member in plan.group(system) if member.name in hosts):
            try:
                states[system] = run.live(system)
            except PyinfraError as error:
                found.setdefault(plan.coordinator(system).name, []).append(str(error))
    questions = {name: question(plan, name, states, DAEMON) for name in open_}
    looks = at_once(open_, lambda one: one.get_fact(Fitness, question=questions[one.name]))
    seen = {name: look for name, look in looks.items() if look is not None}
    for name in open_:
        if name in seen:
            found[name] += findings(plan, name, seen[name], states)
        elif not found[name]:
            found[name].append(f"does not say what it is; see: ssh {name} sudo python3 -V")
    for system in asked:
        found.setdefault(plan.coordinator(system).name, []).extend(tls_files.unfit(plan, system))
    for name, lines in together(seen).items():
        found[name] += lines
    TAGS.update({image: digest for here in seen.values() for image, digest in here.tags.items()})
    moved = [line for system, state in states.items() for line in moved_tags(plan, system, state, TAGS)]
    for line in [*moved, *tls_files.soon(plan)]:
        flow.note(line)
    if len(open_) < len(hosts) or len(states) < len(asked):
        raise Unfit(found)
    return found


def refusal(found: Found) -> list[str]:
    """The lines of a run that is refused before it is planned."""
    lines = [f"error  {name}: {line}" for name, some in found.items() for line in some]
    return [*lines, f"{len(lines)} error{'s' * (len(lines) > 1)}; nothing was touched"]


def objections(plan: Plan, live: dict[str, Live]) -> list[str]:
    """What speaks against what this run asks for. Arguments: the plan; what is live of the systems in question."""
    return [
        *release_problems(plan, live),
        *(line for name in live if rolls_out(plan, name, live[name]) for line in integration.missing(plan, name)),
    ]


def release_problems(plan: Plan, live: dict[str, Live]) -> list[str]:
    """Releases that this run asks for and that must not go live, and switches that another run left half-way."""
    return [
        *(
            f"{name}: the switch to {state.release.candidate} is half-way; wait until its lease ends, or go back on "
            f"{plan.coordinator(name).name}: sudo changeover rollback {name}"
            for name, state in live.items()
            if state.opened or state.rolled or state.weight and state.lease
        ),
        *(line for name, state in live.items() if (line := _paused(plan, name, state))),
        *_held(plan, live),
    ]


def _paused(plan: Plan, name: str, state: Live) -> str | None:
    """Why this run is not the one that goes on from a step where another one paused; None where it is, or none did."""
    if not state.weight or state.lease:
        return None
    candidate, back = state.release.candidate, f"sudo changeover rollback {name}, on {plan.coordinator(name).name}"
    at = f"{name}: a release to {candidate} is paused at {state.weight.percent} % of its clients"
    if wanted_release(plan, name, state) != candidate:
        return f"{at}; go on with it: --data release={candidate}, or go back: {back}"
    if state.strayed:
        return f"{at}, and the settings have changed since: its containers cannot be made anew; go back: {back}"
    return None


def _held(plan: Plan, live: dict[str, Live]) -> list[str]:
    return [
        f"{name}: {wanted} is held: {state.held[wanted]}. Release another version, or allow it again on "
        f"{plan.coordinator(name).name}: sudo changeover unhold {name} {wanted}"
        for name, state in live.items()
        if (wanted := plan.asked_release(name)) in state.held and wanted
    ]
