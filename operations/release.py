"""A release goes live: staged in the idle slots, switched under a lease, watched, confirmed; or it goes back.

The host command does each step (one actuator, three callers); here it is only asked, in order.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator
from typing import Any, Literal

from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover import pins
from changeover.live import Live
from changeover.plan import Plan
from changeover.record import Check
from changeover.report import duration
from changeover.settings import App
from changeover.stack import new_release, unplaced, wanted_release
from changeover.strategy import strategy
from changeover.words import seconds, whole_seconds
from operations import before, commands, flow, gates, git_tag, lease, lock, maintenance, run, smoke, watch
from operations.ask import spoken
from operations.host_command import BINARY
from operations.images import FOUND, RECORDED

STAGED = 300  # seconds for a staging beyond the drain: hosts that were away are told what they missed first
NO_WAY_BACK = (
    "nothing was undone: there is no release before it to go back to, so it serves as it is; mend it and release "
    "another version: --data release=R"
)


@deploy("release")
def stage(plan: Plan, system: str, live: Live, txn: str, actor: str) -> None:
    """The idle slots are this release's. Arguments: the plan; the system; what is live; the run's id; who runs it."""
    release = wanted_release(plan, system, live)
    if goes_back(plan, system, live):
        gates.announce(plan, system)
    commands.FOLLOW[system] = lambda: commands.after(plan, system, live.release.live or "", release)
    staged(
        name=f"{system}: {release} takes the idle slots",
        system=system,
        images=pins.images(plan, system, release),
        limit=whole_seconds(longest_drain(plan, system)) + STAGED,
        words=[
            *("stage", system, "--release", release, "--txn", txn, "--by", actor),
            *("--expect-generation", str(live.generation)),
            *(word for name in new_services(plan, system, live) for word in ("--service", name)),
            *(["--again"] if live.drifted else []),
        ],
    )


def longest_drain(plan: Plan, system: str) -> str:
    """The longest time that a service of the system has to drain: a slot is not given away before."""
    drains = [service.drain for service in plan.systems[system].services.values() if isinstance(service, App)]
    return max(drains, key=seconds, default="1s")


def new_services(plan: Plan, system: str, live: Live) -> list[str]:
    """Services that the live release gets in this run; empty when the whole system gets another release."""
    if live.release.live is None or live.drifted or new_release(plan, system, live):
        return []
    return unplaced(plan, system, live)


def goes_back(plan: Plan, system: str, live: Live) -> bool:
    """Whether there is a way back: not from a first installation, nor for a system that is replaced in place."""
    return live.release.live is not None and bool(plan.switched(system))


@deploy("release")
def switch(plan: Plan, system: str, live: Live, txn: str, actor: str) -> None:
    """Traffic and workers go to the release, under a lease. Arguments as in stage."""
    limit = whole_seconds(plan.systems[system].release.lease) if goes_back(plan, system, live) else 0
    switched(
        name=f"{system}: traffic goes to {wanted_release(plan, system, live)}",
        plan=Quiet(plan),
        system=system,
        txn=txn,
        probed=goes_back(plan, system, live),
        recreated=strategy(plan, system, live) == "recreate",
        words=["switch", system, "--lease", str(limit), "--txn", txn, "--by", actor],
    )


@deploy("release")
def confirm(plan: Plan, system: str, live: Live, txn: str, actor: str) -> None:
    """The release passes its smoke tests and is watched; then it is confirmed, or goes back. Arguments as in stage."""
    release, before = wanted_release(plan, system, live), live.release.live
    leased = goes_back(plan, system, live)
    if live.maintenance:
        maintenance.unseen(plan, system)
    elif plan.systems[system].release.smoke:
        smoked(
            name=f"{system}: {release} passes the smoke tests", plan=Quiet(plan), system=system, txn=txn, leased=leased
        )
    if leased:
        watched(name=f"{system}: {release} is watched", plan=Quiet(plan), system=system, txn=txn)
    confirmed(
        name=f"{system}: {release} is confirmed",
        system=system,
        words=["confirm", system, "--txn", txn, "--by", actor],
    )
    if tag := git_tag.name_of(plan, system, live):
        git_tag.tagged(
            name=f"{system}: {release} is tagged in git",
            name_=tag,
            system=system,
            environment=plan.fleet.environment,
            release=release,
            txn=txn,
            actor=actor,
        )
    commands.steps(plan, system, "after", release, before or "")


@deploy("release")
def roll_back(system: str, actor: str, why: str | None) -> None:
    """The release before is live again. Arguments: the system's name; who runs it; why the other one is held."""
    words = ["rollback", system, "--by", actor, *(["--why", why] if why else [])]
    asked(name=f"{system}: the release before is live again", words=words)


class Quiet:
    """A value that operations carry and pyinfra does not print."""

    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return "..."


@operation(is_idempotent=False)
def asked(words: list[str]) -> Generator[StringCommand]:
    """
    The host command does what it is asked; its own words are what a person reads when it refuses.

    + words: verb, system and options
    """
    yield StringCommand(shlex.join([BINARY, *words]))


@operation(is_idempotent=False)
def staged(system: str, images: dict[str, str], limit: int, words: list[str]) -> Generator[FunctionCommand]:
    """
    The idle slots are the release's, and its images are written down by their digests.

    + system: its name
    + images: service -> image of the release, with a tag
    + limit: seconds until it must be done; a slot that still drains is waited for
    + words: of the staging
    """

    def stage(state: Any, host: Any) -> bool:
        found = FOUND.get(system, {})
        pairs = [f"{service}={found[image]}" for service, image in images.items() if image in found]
        done, said = lock.ask(host, *words, *(w for pair in pairs for w in ("--image", pair)), "--json", limit=limit)
        answer = spoken(said)
        if not done or answer is None:
            wrong = [f"error  {answer['error']}", f"next   {answer['next']}"] if answer and "error" in answer else said
            return flow.fail_here(host, wrong)
        RECORDED[system] = answer["images"]
        return True

    yield FunctionCommand(stage, (), {})


@operation(is_idempotent=False)
def confirmed(system: str, words: list[str]) -> Generator[FunctionCommand | StringCommand]:
    """
    The release stays; the lease is over.

    + system: its name
    + words: of the confirmation
    """

    def done(state: Any, host: Any) -> bool:
        watch.confirmed(system)
        audited(host, system)
        return True

    yield StringCommand(shlex.join([BINARY, *words]))
    yield FunctionCommand(done, (), {})


@operation(is_idempotent=False)
def switched(
    plan: Quiet, system: str, txn: str, probed: bool, recreated: bool, words: list[str]
) -> Generator[FunctionCommand | StringCommand]:
    """
    The prober sees the old release answer; then the host command switches.

    + plan: the checked plan
    + system: its name
    + txn: the run's id
    + probed: whether there is an old release to see, and to go back to
    + recreated: whether it is stopped, so that only the new one can be seen, after the switch
    + words: of the switch
    """

    def begin(state: Any, host: Any) -> bool:
        reason = None if system in watch.PROBERS else gates.start(plan.value, system, txn, state)
        return reason is None or flow.fail_here(host, [reason, "nothing was switched"])

    def done(state: Any, host: Any) -> bool:
        watch.moved(system)
        lease.rest(system)
        reason = watch.start(plan.value, system, txn, "after the switch") if recreated else None
        return reason is None or sent_back(host, system, [reason])

    def told(state: Any, host: Any) -> bool:
        went, said = before.forth(system, lambda: lock.ask(host, *words, limit=lease.BACK))
        watch.SAID.extend(said[:1] if went and recreated else [])  # how long the page was on
        if not went and not any(line.startswith("error") for line in said):
            # Its connection is gone, or it itself: what it began, it ends when it is back.
            watch.OPEN.setdefault(system, watch.CUT_OFF)
            said = [
                f"{host.name} did not say how the switch ended: its connection was cut, or it has lost its power",
                *said,
                f"next: sudo changeover status {system}   (on any of its hosts)",
            ]
        return went or flow.fail_here(host, said)

    if probed and not recreated:
        yield FunctionCommand(begin, (), {})
    yield FunctionCommand(told, (), {})
    if probed:
        yield FunctionCommand(done, (), {})


@operation(is_idempotent=False)
def watched(plan: Quiet, system: str, txn: str) -> Generator[FunctionCommand]:
    """
    The release serves for the soak's time without failing; else it is sent back at once.

    + plan: the checked plan
    + system: its name
    + txn: the run's id, whose lease is renewed
    """

    def look(state: Any, host: Any) -> bool:
        with gates.begin(plan.value, system, state) as looking:
            reasons = watch.soak(plan.value, system, lambda *words: lock.ask(host, *words), txn, gates=looking)
        return not reasons or sent_back(host, system, reasons)

    yield FunctionCommand(look, (), {})


@operation(is_idempotent=False)
def smoked(plan: Quiet, system: str, txn: str, leased: bool) -> Generator[FunctionCommand]:
    """
    The smoke tests pass through the gateway; else the release is sent back at once, where there is a way back.

    + plan: the checked plan
    + system: its name
    + txn: the run's id, whose lease is renewed
    + leased: whether there is a way back
    """

    def look(state: Any, host: Any) -> bool:
        began = time.monotonic()
        renew = (lambda: lock.ask(host, "renew", system, "--txn", txn, "--json")) if leased else None
        reasons = smoke.tests(plan.value, system, renew)
        if reasons:
            if leased:
                return sent_back(host, system, reasons)
            return flow.fail_here(host, [*reasons, NO_WAY_BACK])
        host.log_styled(f"{smoke.passed(system)}  {duration(time.monotonic() - began)}", fg="green")
        return True

    yield FunctionCommand(look, (), {})


def sent_back(host: Any, system: str, reasons: list[str]) -> bool:
    """The release before is live again, and this one held; gives False, which fails the host.

    Arguments: the coordinator; the system; why, the first of which the hosts' journals keep.
    """
    lease.rest(system)
    asked = "rollback", system, "--why", reasons[0], "--by", run.actor()
    back, words = before.back(system, lambda: lock.ask(host, *asked, limit=lease.BACK))
    state = watch.OPEN[system] = watch.WENT_BACK if back else lease.left(host, system, run.txn())  # who was faster
    audited(host, system)
    return flow.fail_here(host, [*reasons, *words, *(commands.follow(system) if state == watch.WENT_BACK else [])])


def audited(host: Any, system: str) -> None:
    """The head of the audit's chain goes into output and record: a line that is changed later is found out."""
    holds, words = lock.ask(host, "audit", system, "--verify")
    evidence, source = " ".join(words[:1]), f"changeover audit {system} --verify"
    verdict: Literal["pass", "fail"] = "pass" if holds else "fail"
    item = f"{system}: the audit chain holds"
    flow.CHECKS.append(Check(item=item, source=source, verdict=verdict, evidence=evidence))
    host.log_styled(f"audit: {evidence}", fg="green" if holds else "red")
