"""Gates while a release is watched: each looked at at its own pace, beside the watch; what they say goes on record."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import gevent

from changeover import gate_asks, record
from changeover.gate_asks import Sides, sides
from changeover.gates import Reading, Tally, announced, at_most, judge, number
from changeover.plan import Plan
from changeover.settings import Gate, Step
from changeover.settings_gates import ANY
from changeover.words import seconds
from operations import flow, run, watch
from operations.gate_sources import Series, Sources

LOOKING: dict[str, Looking] = {}  # system, or "system, step 25 %" -> its gates there, also when that is over
BEAT = 0.5  # seconds between two looks at which gate is due
DEAF = 10  # beats in a row that may fail
FIRST = 30.0  # seconds in which each gate must have had data of the old release
AGAIN = 1.0  # seconds between two questions of that
Spawn = Callable[..., Any]
Measure = Callable[[Gate], Reading]


def announce(plan: Plan, system: str) -> None:
    """Says before the deploy what the release is judged by, and how long a verdict takes at worst.

    A run that is framed has it in its first block (changeover/terminal.py).
    """
    for gate in () if flow.FRAMED else gate_asks.gates(plan, system):
        click.echo(f" gate        {system}: {announced(gate)}", err=True)


def start(plan: Plan, system: str, txn: str, state: Any) -> str | None:
    """Prober and gates must see the old release before anything is switched; why they do not, or None.

    Arguments: the plan; the system; the run's id; pyinfra's state.
    """
    return watch.start(plan, system, txn) or unanswered(plan, system, state)


def unanswered(plan: Plan, system: str, state: Any) -> str | None:
    """Why nothing may be switched: a gate that has no data of the old release would prove nothing of the new one.

    Arguments: the plan; the system; pyinfra's state. None when each has.
    """
    live = run.known_live(system)
    if live.release.live is None:
        return None
    both, alone = sides(plan, system, live), gate_asks.before(plan, system, live)
    prober = watch.PROBERS.get(system)
    series = Series(prober.out, whole=True) if prober else None
    sources = Sources(plan, system, alone, series, state.inventory.get_host)
    end = time.monotonic() + FIRST
    for gate in judged(plan, system, both):
        if gate.source.service in set(both.new) - set(alone.new):
            continue  # a service that is new with this release
        if optional(gate):
            continue
        while True:
            reading = sources.measure(gate)
            said, _ = judge(gate, reading)
            if said not in ("error", "no_data"):
                break
            if time.monotonic() >= end:
                why = run.mask(reading.error) or "there is none"
                return f"gate {gate.name}: no data of {both.before}, which is live: {why}; look at {system}.gates"
            time.sleep(AGAIN)
    return None


def optional(gate: Gate) -> bool:
    """Whether a gate may have no data at all, as the defaults may."""
    return min(gate.error_limit, gate.nodata_limit, gate.inconclusive_limit) >= ANY


def judged(plan: Plan, system: str, both: Sides, step: Step | None = None) -> list[Gate]:
    """The gates that can judge this release. What has no old slot beside it (recreate) has no baseline.

    Behind a person's maintenance page nobody comes through the gateway, so nothing is judged. Said once.
    """
    wanted = gate_asks.gates(plan, system, step)
    if wanted and run.paged(system):
        flow.note(f"{system}: the maintenance page is on, so no gate judges the release")
        return []
    alone = plan.systems[system].release.strategy == "recreate" or not both.old
    for gate in wanted if alone else ():
        if gate.baseline and plan.systems[system].gates:  # of the defaults nobody needs a word
            flow.note(f"{system}: gate {gate.name} is left out: there is no old slot beside the new one")
    return [gate for gate in wanted if not (alone and gate.baseline)]


def begin(plan: Plan, system: str, state: Any, step: Step | None = None) -> Looking:
    """The gates of a release that has just been switched to are looked at from now on. Arguments as in unanswered.

    At a weighted step those that judge it, by what the prober sees as a client who has the release.
    """
    both = sides(plan, system, run.known_live(system))
    prober = watch.PROBERS.get(system)
    series = Series(prober.out, client=watch.FIRST if step else None) if prober else None
    sources = Sources(plan, system, both, series, state.inventory.get_host)
    length = seconds(step.hold if step else plan.systems[system].release.soak)
    wanted, listen = judged(plan, system, both, step), series.read if series else lambda: None
    found = Looking(system, wanted, length, sources.measure, listen=listen)
    LOOKING[f"{system}, step {step.label}" if step else system] = found
    return found


def records() -> list[record.Gate]:
    """All gates that were looked at, for the record, without a secret in their words."""
    return [
        made.model_copy(update={"name": f"{made.name}{where.removeprefix(looking.system)}"})
        for where, looking in LOOKING.items()
        for tally in looking.tallies
        for made in [tally.record(looking.system)]
    ]


def lines() -> list[str]:
    """The gates in the last lines of a run: one for each system."""
    found = []
    for system, looking in LOOKING.items():
        passed = [tally for tally in looking.tallies if tally.verdict == "pass"]
        others = [f"{tally.gate.name}: {tally.why()}" for tally in looking.tallies if tally.verdict != "pass"]
        names = ", ".join(f"{t.gate.name} {number(t.gate, t.telling.reading.value)}" for t in passed if t.telling)
        if looking.tallies:
            count = f"{len(passed)} of {len(looking.tallies)} passed"
            found.append(f" gates       {system}: {count}{f' ({names})' if names else ''}")
        found += [f"             {line}" for line in others]
    return found


class Looking:
    """The gates of one system in its soak: a greenlet starts each look when it is due, each look is one of its own."""

    def __init__(
        self,
        system: str,
        gates: list[Gate],
        length: float,
        measure: Measure,
        spawn: Spawn = gevent.spawn,
        listen: Callable[[], None] = lambda: None,
    ) -> None:
        """Arguments: the system; its gates; the soak's seconds; what measures a gate; what runs something beside this;
        what is done at each beat, so that it is known when a sample came.

        No look begins when the soak is over, but of a gate that failed: whether it fails again must be seen, if it can.
        """
        self.system, self.tallies = system, [Tally(gate) for gate in gates]
        self._measure, self._spawn, self._listen = measure, spawn, listen
        self._began = time.monotonic()
        self._end = self._began + length
        # Not all at once: the last one after `every`, the others before it.
        self._next = {
            gate.name: self._began + seconds(gate.every) * number / len(gates) for number, gate in enumerate(gates, 1)
        }
        self._deaf = 0  # beats in a row in which nothing could be looked at
        self._fault = ""
        self._under_way: set[str] = set()
        self._beat: Any = None

    def __enter__(self) -> Looking:
        """From here on by itself, until the block ends."""

        def beat() -> None:
            while True:
                gevent.sleep(BEAT)
                try:
                    self.tick()
                    self._deaf = 0
                except Exception as error:  # a mistake of ours, or no file can be opened any more
                    self._deaf, self._fault = self._deaf + 1, f"{type(error).__name__}: {error}"

        self._beat = gevent.spawn(beat)
        return self

    def __exit__(self, *_: object) -> None:
        self._beat.kill()

    def tick(self) -> None:
        """Starts the looks that are due. One that still waits for its answer is not doubled."""
        self._listen()
        now = time.monotonic()
        for tally in self.tallies:
            name = tally.gate.name
            if now >= self._next[name] and name not in self._under_way and self._wanted(tally):
                self._next[name] += seconds(tally.gate.every)
                if self._next[name] <= now:  # this process was held up: no looks are made up for
                    self._next[name] = now + seconds(tally.gate.every)
                self._under_way.add(name)
                self._spawn(self._look, tally)

    def _look(self, tally: Tally) -> None:
        try:
            reading = self._measure(tally.gate)
        except Exception as error:  # a mistake of ours: no look is lost without a word
            reading = Reading(error=f"{type(error).__name__}: {error}")
        finally:
            self._under_way.discard(tally.gate.name)
        tally.add(datetime.now(UTC), reading, time.monotonic() - self._began)

    def reasons(self) -> list[str]:
        """Why the release should go back, as gates have it; empty while none has decided."""
        if self._deaf > DEAF:
            return [f"its gates cannot be looked at any more: {self._fault}"]
        return self._said([tally for tally in self.tallies if tally.decided])

    def end(self) -> list[str]:
        """The same when the soak is over: a gate that never had its say is no pass."""
        return self._said([tally for tally in self.tallies if tally.end()])

    @property
    def undecided(self) -> bool:
        """Whether the soak must not end yet: a look is under way or due, or the last one failed."""
        return bool(self._under_way) or any(self._wanted(tally) for tally in self.tallies)

    def _wanted(self, tally: Tally) -> bool:
        patience = at_most(tally.gate) if tally.failing else 0.0
        return tally.decided is None and self._next[tally.gate.name] <= self._end + patience

    def _said(self, against: list[Tally]) -> list[str]:
        """The first line is kept on all hosts, readable by all: what a source printed is only in the next one."""
        found = []
        for tally in against:
            found.append(f"gate {tally.gate.name}: {tally.why()}")
            if tally.decided == "error" and tally.error():
                found.append(run.mask(tally.error()))
        return found
