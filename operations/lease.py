"""The lease of a switch that is half-way: renewed beside the run while it works, and given up when the run ends."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import gevent
from pyinfra.api import FunctionCommand, operation

from changeover.plan import Plan
from changeover.words import seconds
from operations import before, commands, flow, lock, run, watch
from operations.ask import spoken

BACK = 600  # seconds for the way back: slots that were stopped are started and must be healthy
TRIES, NAP = 3, 2.0  # how often a renewal that counts is asked for, and seconds between: somebody may be at work
HEARTS: dict[str, Any] = {}  # system -> the greenlet that renews
KEPT: dict[str, tuple[Any, str]] = {}  # system -> coordinator, and the run's id, of what this run left half-way
LEASELESS: set[str] = set()  # systems that were asked to leave clients without a lease, and did not refuse it


def keep(host: Any, plan: Plan, system: str, txn: str) -> None:
    """From here on the lease is renewed, until rest(). A run that ends before that goes back, whatever ended it.

    A control machine that is gone renews nothing: then the host goes back when the lease ends. Arguments: the
    coordinator; the plan; the system; the run's id.
    """
    watch.OPEN[system] = watch.HALF_WAY
    if system in HEARTS:
        return
    KEPT[system] = host, txn
    every = seconds(plan.systems[system].release.lease) / 3

    def beat() -> None:
        while True:
            gevent.sleep(every)
            renewed, said = lock.ask(host, "renew", system, "--txn", txn)
            if not renewed:
                host.log_styled(f"{system}: the lease was not renewed: {' '.join(said)}", fg="yellow")

    HEARTS[system] = gevent.spawn(beat)
    disconnect = host.connector.disconnect

    def end() -> None:
        rest(system)
        try:
            if watch.OPEN.get(system) == watch.HALF_WAY:
                give_up(host, system, txn)
        finally:
            disconnect()

    host.connector.disconnect = end


def rest(system: str) -> None:
    """The lease is not renewed any more by this."""
    KEPT.pop(system, None)
    heart = HEARTS.pop(system, None)
    if heart is not None:
        heart.kill()


@operation(is_idempotent=False)
def still_ours(system: str) -> Generator[FunctionCommand]:
    """
    What this run left half-way has not gone back meanwhile; else nothing more is migrated or started beside it.

    + system: its name
    """

    def look(state: Any, host: Any) -> bool:
        reasons = lost(system)
        return not reasons or flow.fail_here(host, reasons)

    yield FunctionCommand(look, (), {})


def lost(system: str) -> list[str]:
    """Why what this run left half-way is not its own any more; empty while it is, and where nothing is half-way.

    Asked by renewing: that is refused after a way back, and while one is at work. It is then renewed for what follows.
    """
    if system not in KEPT:
        return []
    host, txn = KEPT[system]
    said: list[str] = []
    for count in range(TRIES):
        if count:
            time.sleep(NAP)
        renewed, said = lock.ask(host, "renew", system, "--txn", txn)
        if renewed:
            return []
    return [f"{system}: the switch that this run began is not its own any more; nothing more is started", *said]


def give_up(host: Any, system: str, txn: str) -> None:
    """The switch is not finished: what runs is put back now, instead of when the lease ends. Nothing is held for it.

    Where the lease or a person was faster, only what this run may have started since is stopped. Clients whom a step
    left on the release without a lease stay: so its settings want it.
    """
    found = left(host, system, txn)
    if found in (watch.BY_LEASE, watch.UNSAID):
        host.log_styled(f"{system}: the switch is half-way; it goes back", fg="yellow")
        words = ("rollback", system, "--no-hold", "--why", "the deploy ended half-way", "--by", run.actor())
        back, said = before.back(system, lambda: lock.ask(host, *words, limit=BACK))
        found = watch.WENT_BACK if back else left(host, system, txn)
        if back or found != watch.WENT_BACK:
            watch.OPEN[system] = found
            for line in [*said, *(commands.follow(system) if back else [])]:
                host.log_styled(line, fg="yellow")
            return
    watch.OPEN[system] = found
    if found == watch.PAUSED:
        host.log_styled(f"{system}: part of its clients stay on the new release, without a lease", fg="yellow")
        return
    host.log_styled(f"{system}: it had gone back already, by its lease or by a person", fg="yellow")
    _, said = lock.ask(host, "drain", system, "--now", limit=BACK)
    for line in [*said, *commands.follow(system)]:
        host.log_styled(line, fg="yellow")


def left(host: Any, system: str, txn: str) -> str:
    """What becomes of what this run left open, as the coordinator says: one of the words in watch.py.

    Without its answer it is the lease that decides, unless clients may have been left without one.
    """
    done, lines = lock.ask(host, "status", system, "--quick", "--json")
    found = spoken(lines) if done else None
    if found is None:
        return watch.UNSAID if system in LEASELESS else watch.BY_LEASE
    if (found.get("lease") or {}).get("txn") == txn:
        return watch.BY_LEASE
    return watch.PAUSED if found.get("weight") else watch.WENT_BACK


def let_go(host: Any, system: str, *words: str) -> tuple[bool, list[str]]:
    """Asks for what leaves clients on a release without a lease; nothing renews that any more, or takes it back."""
    rest(system)
    LEASELESS.add(system)
    done, said = lock.ask(host, *words, limit=BACK)
    if any(line.startswith("error") for line in said):
        LEASELESS.discard(system)
    return done, said
