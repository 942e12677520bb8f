"""A gate's judgement: what each look says, and what all of them say together. Pure; docs/decisions.md 63 has the why.

Measurements come in as a Reading, by whatever source; a Tally counts what became of them. Fail, error, no data and
inconclusive are four different answers beside pass, each with a limit of its own.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from changeover import record
from changeover.record import Verdict
from changeover.settings_gates import ANY, Gate
from changeover.words import seconds

KEPT = 400  # looks of a gate that are written down; of more, those that passed are thinned out
LATE = 7.0  # seconds after a look until it is acted on, and traffic is back
LOOKS = 2.0  # seconds between two looks of the watch at the prober's answers
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
SAYS = {"fail": "failed", "error": "an error", "no_data": "no data", "inconclusive": "inconclusive", "pass": "passed"}


@dataclass(frozen=True)
class Reading:
    """What one look measured. `value`, `baseline`: None where there was nothing to measure; `count`, `counted`:
    requests behind them, None where that is no question (one number a look); `slower`: whether the new slot is clearly
    slower than the old one times the ratio, where both were timed side by side; `error`: why it could not be asked."""

    value: float | None = None
    baseline: float | None = None
    count: int | None = None
    counted: int | None = None
    slower: bool | None = None
    error: str = ""


@dataclass(frozen=True)
class Look:
    """One look, judged: when (UTC), what was read, what it was held against, what it says."""

    at: datetime
    reading: Reading
    limit: float | None
    verdict: Verdict


@dataclass
class Run:
    """Looks that said the same, and count against a limit."""

    first: Look
    last: Look
    count: int = 1


def worst(gate: Gate, values: list[float]) -> float | None:
    """Of several hosts' or series' numbers the one that is least likely to pass; None without any."""
    if not values:
        return None
    if gate.op in ("==", "!=") and gate.value is not None:
        return next((one for one in values if not COMPARE[gate.op](one, gate.value)), values[0])
    return min(values) if gate.op in (">", ">=") else max(values)


def limit(gate: Gate, baseline: float | None) -> float | None:
    """What a value is held against: `value`, the baseline's times the ratio, or the more lenient of both."""
    relative = baseline * gate.baseline.ratio if gate.baseline and baseline is not None else None
    found = [one for one in (gate.value, relative) if one is not None]
    return None if not found else min(found) if gate.op in (">", ">=") else max(found)


def judge(gate: Gate, reading: Reading) -> tuple[Verdict, float | None]:
    """What one look says by itself, and the limit that it was held against."""
    value, baseline = reading.value, reading.baseline
    if baseline is not None and (not math.isfinite(baseline) or _few(gate, reading.counted)):
        baseline = None
    held = limit(gate, baseline)
    if reading.error:
        return "error", held
    if value is None or math.isnan(value):  # 0/0: nothing happened, so nothing was measured
        return "no_data", held
    if math.isinf(value):
        return "error", held
    if _few(gate, reading.count):
        return "inconclusive", held
    if reading.slower is not None and baseline is not None:
        good = gate.value is not None and COMPARE[gate.op](value, gate.value)
        return ("pass" if good or not reading.slower else "fail"), held
    if held is not None and (COMPARE[gate.op](value, held) or _as_the_old(gate, value, baseline)):
        return "pass", held
    # It would fail; but what the old slot does might be as bad, and that is not known.
    return ("inconclusive" if gate.baseline and baseline is None else "fail"), held


def _as_the_old(gate: Gate, value: float, baseline: float | None) -> bool:
    """Whether a value is just what the old slot's allows: no errors beside no errors are as good."""
    return gate.baseline is not None and baseline is not None and value == baseline * gate.baseline.ratio


def _few(gate: Gate, count: int | None) -> bool:
    return count is not None and count < gate.min_samples


def at_most(gate: Gate) -> float:
    """Seconds from the first bad answer until a release goes back for it, at worst.

    The window must fill with bad answers; the first look after that may be `every` away, fail_limit more are passed
    over, the last one takes its time limit, and is acted on a moment later.
    """
    filled = seconds(gate.window) if gate.source.probe else 0.0
    return filled + seconds(gate.every) * (gate.fail_limit + 1) + seconds(gate.source.timeout) + LATE


class Tally:
    """The looks of one gate since the switch."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.looks: list[Look] = []
        self.decided: Verdict | None = None
        """The verdict that sends the release back; None while there is none."""
        self._runs: dict[Verdict, Run] = {}  # kind -> those that count against its limit
        self._early: dict[Verdict, Run] = {}  # the same, while the window still filled up
        self._passed = self._all = 0

    def add(self, at: datetime, reading: Reading, since: float) -> Verdict | None:
        """Takes one more look; gives what is decided. Arguments: when; what was measured; seconds since the switch."""
        verdict, held = judge(self.gate, reading)
        look = Look(at, reading, held, verdict)
        self.looks.append(look)
        self._all += 1
        if verdict == "pass":
            self._passed += 1
            if self.gate.consecutive:
                self._runs.clear()
        elif verdict in ("no_data", "inconclusive") and since < seconds(self.gate.window):
            _count(self._early, look)
        elif _count(self._runs, look) > self.allowed(verdict):
            self.decided = self.decided or verdict
        self._thin()
        return self.decided

    def end(self) -> Verdict | None:
        """The soak is over: what never passed is held against its limits as a whole. Gives what is decided."""
        if not self.decided and not self._passed:
            for kind in ("error", "no_data", "inconclusive"):
                found = [run.count for run in (self._runs.get(kind), self._early.get(kind)) if run]
                if sum(found) > self.allowed(kind):
                    self.decided = self.decided or kind
            if not self.looks and self.allowed("no_data") == 0:
                self.decided = "no_data"
        return self.decided

    @property
    def failing(self) -> bool:
        """Whether looks failed since the last pass, and too few so far: the next one tells."""
        return self.decided is None and "fail" in self._runs and self.looks[-1].verdict != "pass"

    def allowed(self, kind: Verdict) -> float:
        """Looks of a kind that may be, by the settings."""
        gate = self.gate
        most = {
            "fail": gate.fail_limit,
            "error": gate.error_limit,
            "no_data": gate.nodata_limit,
            "inconclusive": gate.inconclusive_limit,
        }[kind]
        return most if most < ANY else math.inf

    @property
    def verdict(self) -> Verdict:
        """What all looks together say."""
        if self.decided or self._passed:
            return self.decided or "pass"
        return self.looks[-1].verdict if self.looks else "no_data"

    @property
    def telling(self) -> Look | None:
        """The last look that says the same as all together."""
        same = (look for look in reversed(self.looks) if look.verdict == self.verdict)
        return next(same, self.looks[-1] if self.looks else None)

    def why(self) -> str:
        """One line for a person: value, limit, how many looks, first when. No word of what a host printed."""
        verdict = self.verdict
        if not self.telling:
            return "it was never looked at"
        if verdict == "pass":
            return f"{shown(self.gate, self.telling)}; {self._passed} of {self._all} looks passed"
        run = self._runs.get(verdict) or self._early.get(verdict) or Run(self.looks[-1], self.looks[-1])
        count = f"in {run.count} look{'s' * (run.count > 1)} of {self.gate.every}"
        return f"{shown(self.gate, run.last)} {count}; first at {run.first.at:%H:%M:%S}"

    def error(self) -> str:
        """What a source said when it could not be asked, the last time; empty where it always could."""
        return next((look.reading.error for look in reversed(self.looks) if look.reading.error), "")

    def record(self, system: str) -> record.Gate:
        """As record.json keeps it. Argument: the system's name."""
        last = self.telling
        return record.Gate(
            system=system,
            name=self.gate.name,
            verdict=self.verdict,
            op=self.gate.op,
            value=_finite(last.reading.value) if last else None,
            limit=_finite(last.limit) if last else self.gate.value,
            unit=self.gate.source.unit,
            at_most=at_most(self.gate),
            samples=[
                record.GateSample(
                    t=look.at,
                    value=_finite(look.reading.value),
                    baseline=_finite(look.reading.baseline),
                    verdict=look.verdict,
                )
                for look in self.looks
            ],
            why=self.why(),
        )

    def _thin(self) -> None:
        """A soak may last a day: every second look that passed goes, the last one never."""
        if len(self.looks) <= KEPT:
            return
        middle = self.looks[:-1]
        kept = [look for number, look in enumerate(middle) if look.verdict != "pass" or number % 2]
        self.looks = [*kept[-KEPT:], self.looks[-1]]


def _count(runs: dict[Verdict, Run], look: Look) -> int:
    if run := runs.get(look.verdict):
        run.last, run.count = look, run.count + 1
    else:
        runs[look.verdict] = Run(look, look)
    return runs[look.verdict].count


def shown(gate: Gate, look: Look) -> str:
    """A look in a person's words: 412 ms (limit 200 ms; old slot 39 ms)."""
    reading = look.reading
    if look.verdict in ("error", "no_data"):
        return SAYS[look.verdict]
    old = f"; old slot {number(gate, reading.baseline)}" if gate.baseline else ""
    few = ""
    if look.verdict == "inconclusive" and reading.count is not None:
        few = f", by {reading.count} requests" + (f" and {reading.counted} of the old slot" if gate.baseline else "")
    held = "none" if look.limit is None else number(gate, look.limit)
    first = f"{SAYS['inconclusive']}: " if look.verdict == "inconclusive" else ""
    return f"{first}{number(gate, reading.value)}{few} (limit {held}{old})"


def number(gate: Gate, value: float | None) -> str:
    """A figure with its unit, rounded to what a person reads."""
    if value is None:
        return "unknown"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text} {gate.source.unit}".rstrip()


def announced(gate: Gate) -> str:
    """A gate as it is said before the deploy: what passes, and how long a verdict takes at worst."""
    parts = [number(gate, gate.value)] if gate.value is not None else []
    parts += [f"{gate.baseline.ratio:g} x the old slot's"] if gate.baseline else []
    text = f"{gate.name} {gate.op} {' or '.join(parts)} ({gate.source.kind}, every {gate.every})"
    return f"{text}; what is bad goes back after {math.ceil(at_most(gate))} s at most"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
