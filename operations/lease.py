"""The lease of a switch that is half-way: renewed beside the run while it works, and given up when the run ends."""

from __future__ import annotations

from typing import Any

import gevent

from changeover.plan import Plan
from changeover.words import seconds
from operations import commands, lock, watch

BACK = 600  # seconds for the way back: slots that were stopped are started and must be healthy
HEARTS: dict[str, Any] = {}  # system -> the greenlet that renews


def keep(host: Any, plan: Plan, system: str, txn: str) -> None:
    """From here on the lease is renewed, until rest(). A run that ends before that goes back, whatever ended it.

    A control machine that is gone renews nothing: then the host goes back when the lease ends. Arguments: the
    coordinator; the plan; the system; the run's id.
    """
    watch.OPEN[system] = watch.HALF_WAY
    if system in HEARTS:
        return
    every = seconds(plan.systems[system].release.lease) / 3

    def beat() -> None:
        while True:
            gevent.sleep(every)
            lock.ask(host, "renew", system, "--txn", txn)

    HEARTS[system] = gevent.spawn(beat)
    disconnect = host.connector.disconnect

    def end() -> None:
        rest(system)
        try:
            if watch.OPEN.get(system) == watch.HALF_WAY:
                give_up(host, system)
        finally:
            disconnect()

    host.connector.disconnect = end


def rest(system: str) -> None:
    """The lease is not renewed any more by this."""
    heart = HEARTS.pop(system, None)
    if heart is not None:
        heart.kill()


def give_up(host: Any, system: str) -> None:
    """The switch is not finished: what runs is put back now, instead of when the lease ends. Nothing is held for it."""
    host.log_styled(f"{system}: the switch is half-way; it goes back", fg="yellow")
    words = ("rollback", system, "--no-hold", "--why", "the deploy ended half-way")
    back, said = lock.ask(host, *words, limit=BACK)
    watch.OPEN[system] = watch.WENT_BACK if back else watch.BY_LEASE
    for line in [*said, *(commands.follow(system) if back else [])]:
        host.log_styled(line, fg="yellow")
