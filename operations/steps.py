"""Weighted steps: a share of the clients gets the release and is watched, then the next; the last one is the switch.

What a step that fails leaves behind is its `on_fail`. `zero`: nobody on the release, and it is held. `previous` and
`pause` leave clients on it without a lease, as nobody is there to renew one: the run ends with exit code 1 and says so,
and the same deploy goes on from there.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover.live import Live
from changeover.plan import Plan
from changeover.settings import Step
from changeover.stack import wanted_release
from changeover.strategy import steps
from changeover.words import seconds, whole_seconds
from operations import before, flow, gates, lease, lock, run, watch
from operations.host_command import BINARY
from operations.release import Quiet, audited, sent_back


@deploy("steps")
def weigh(plan: Plan, system: str, live: Live, txn: str, actor: str, percent: int) -> None:
    """A share of the clients is on the release, and is watched.

    Arguments: the plan; the system; what is live; the run's id; who runs it; the percentage of the step.
    """
    release, limit = wanted_release(plan, system, live), whole_seconds(plan.systems[system].release.lease)
    step = next(one for one in steps(plan, system, live) if one.who.percent == percent)
    weighed(
        name=f"{system}: step {step.label}: {share(percent)} are on {release}, for {step.hold}",
        plan=Quiet(plan),
        system=system,
        txn=txn,
        step=Quiet(step),
        words=["weight", system, str(percent), "--lease", str(limit), "--txn", txn, "--by", actor],
    )


def share(percent: int) -> str:
    """Who is on the release at a step, as the host command says it."""
    return f"{percent} % of the clients" if percent else "only chosen clients"


@operation(is_idempotent=False)
def weighed(
    plan: Quiet, system: str, txn: str, step: Quiet, words: list[str]
) -> Generator[FunctionCommand | StringCommand]:
    """
    The prober sees both releases answer for the time of the step; else its `on_fail` says how it ends.

    + plan: the checked plan
    + system: its name
    + txn: the run's id
    + step: its settings
    + words: verb, system and options
    """

    since: list[datetime] = []  # when the share was asked for
    live, percent = run.known_live(system), step.value.who.percent

    def begin(state: Any, host: Any) -> bool:
        reason = None if system in watch.PROBERS else gates.start(plan.value, system, txn, state)
        since.append(datetime.now(UTC))
        return reason is None or flow.fail_here(host, [reason, "nobody was moved", *ways(host, system)])

    def look(state: Any, host: Any) -> bool:
        if live.weight is None or live.weight.percent != percent:  # they are there already where a run goes on
            release = wanted_release(plan.value, system, live)
            before.moved(system, "step", f"{share(percent)} to {release}", since[-1])
        lease.keep(host, plan.value, system, txn)
        hold = seconds(step.value.hold)
        with gates.begin(plan.value, system, state, step.value) as looking:
            reasons = watch.soak(plan.value, system, lambda *words: lock.ask(host, *words), txn, hold, looking)
        return not reasons or failed(host, plan.value, system, txn, step.value, reasons)

    yield FunctionCommand(begin, (), {})
    yield StringCommand(shlex.join([BINARY, *words]))
    yield FunctionCommand(look, (), {})


def stays_at(plan: Plan, system: str, step: Step) -> int | None:
    """The percentage that stays on a release whose step failed; None: nobody does."""
    if step.on_fail == "pause":
        return step.who.percent
    lower = [one.who.percent for one in plan.systems[system].release.steps if one.who.percent < step.who.percent]
    return lower[-1] if step.on_fail == "previous" and lower else None


def failed(host: Any, plan: Plan, system: str, txn: str, step: Step, reasons: list[str]) -> bool:
    """What a step's on_fail asks for is done; gives False, which fails the host.

    Where that is refused (a lease that ended, a person who went back, a host that is away), all go back. Arguments: the
    coordinator; the plan; the system; the run's id; the step; why, the first of which the hosts' journals keep.
    """
    percent = stays_at(plan, system, step)
    if percent is None:
        return sent_back(host, system, reasons)
    words = ["weight", system, str(percent), "--lease", "0", "--txn", txn, "--why", reasons[0], "--by", run.actor()]
    since = datetime.now(UTC)
    stays, said = lease.let_go(host, system, *words)
    if not stays:
        look = f"{host.name} did not say whether clients stay: sudo changeover status {system}   (on any of its hosts)"
        return sent_back(host, system, [*reasons, *said, *([look] if system in lease.LEASELESS else [])])
    watch.OPEN[system] = watch.PAUSED
    if percent != step.who.percent:
        before.moved(system, "step", f"back to {share(percent)}", since)
    audited(host, system)
    what = f"step {step.label} failed (on_fail: {step.on_fail}): {said[0] if said else share(percent)}"
    return flow.fail_here(host, [*reasons, f"{what}; it stays so, and nobody watches it", *ways(host, system)])


def ways(host: Any, system: str) -> list[str]:
    """Both ways on from a step that is paused; none where nobody is on the release yet."""
    if system not in watch.OPEN and not run.paused(system):
        return []
    return [
        "to go on from this step: run the same deploy again",
        f"to go back, on {host.name}: sudo changeover rollback {system}",
    ]
