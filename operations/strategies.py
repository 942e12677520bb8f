"""Releases that are not blue/green: recreate is opened behind the maintenance page, rolling goes host by host."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover.live import Live
from changeover.plan import Plan
from changeover.stack import wanted_release
from changeover.words import seconds, whole_seconds
from operations import before, flow, gates, lease, lock, watch
from operations.host_command import BINARY
from operations.release import Quiet, sent_back


@deploy("open")
def open_(plan: Plan, system: str, live: Live, txn: str, actor: str) -> None:
    """What runs is stopped behind the maintenance page. Arguments: plan; system; what is live; the run's id; who."""
    opened(
        name=f"{system}: {live.release.live} is stopped, behind the maintenance page",
        plan=Quiet(plan),
        system=system,
        txn=txn,
        words=[*_words(plan, system, txn, actor), "--open"],
    )


@deploy("rolling")
def turn(plan: Plan, system: str, live: Live, txn: str, actor: str, name: str) -> None:
    """One more host serves the release, and is watched. Arguments as in open_; the host's name."""
    turned(
        name=f"{system}: {name} serves {wanted_release(plan, system, live)}",
        plan=Quiet(plan),
        system=system,
        txn=txn,
        words=[*_words(plan, system, txn, actor), "--host", name],
    )


def turns(plan: Plan, system: str) -> list[str]:
    """The hosts that have a turn of their own, in order; the last one's is the switch of them all."""
    return [host.name for host in plan.turns(system)]


def _words(plan: Plan, system: str, txn: str, actor: str) -> list[str]:
    seconds_of = str(whole_seconds(plan.systems[system].release.lease))
    return ["switch", system, "--lease", seconds_of, "--txn", txn, "--by", actor]


@operation(is_idempotent=False)
def opened(plan: Quiet, system: str, txn: str, words: list[str]) -> Generator[FunctionCommand | StringCommand]:
    """
    The prober sees the old release answer; then it is stopped, under a lease that this run renews while it works.

    + plan: the checked plan
    + system: its name
    + txn: the run's id
    + words: verb, system and options
    """

    def begin(state: Any, host: Any) -> bool:
        reason = gates.start(plan.value, system, txn, state)
        watch.stop(system)  # behind the page there is nothing to see
        return reason is None or flow.fail_here(host, [reason, "nothing was stopped"])

    def kept(state: Any, host: Any) -> bool:
        before.moved(system, "step", "the maintenance page")
        lease.keep(host, plan.value, system, txn)
        return True

    yield FunctionCommand(begin, (), {})
    yield StringCommand(shlex.join([BINARY, *words]))
    yield FunctionCommand(kept, (), {})


@operation(is_idempotent=False)
def turned(plan: Quiet, system: str, txn: str, words: list[str]) -> Generator[FunctionCommand | StringCommand]:
    """
    One more host serves the release; when the prober sees a failure in the pause after it, all go back.

    + plan: the checked plan
    + system: its name
    + txn: the run's id
    + words: verb, system and options
    """

    def begin(state: Any, host: Any) -> bool:
        reason = None if system in watch.PROBERS else gates.start(plan.value, system, txn, state)
        return reason is None or flow.fail_here(host, [reason, "nothing was switched"])

    def look(state: Any, host: Any) -> bool:
        before.moved(system, "step", f"{words[-1]} serves it")
        lease.keep(host, plan.value, system, txn)
        pause = seconds(plan.value.systems[system].release.pause)
        reasons = watch.soak(plan.value, system, lambda *words: lock.ask(host, *words), txn, pause)
        return not reasons or sent_back(host, system, reasons)

    yield FunctionCommand(begin, (), {})
    yield StringCommand(shlex.join([BINARY, *words]))
    yield FunctionCommand(look, (), {})
