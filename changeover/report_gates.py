"""A gate on the report's page: its verdict in words, its looks drawn small, and those that matter as rows. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from changeover.record import Gate, GateSample
from changeover.report_words import plural

WORDS = {"pass": "passed", "fail": "failed", "error": "error", "no_data": "no data", "inconclusive": "inconclusive"}
SIGNS = {"pass": "✓", "fail": "✕", "error": "!", "no_data": "∅", "inconclusive": "?"}
WIDTH, HEIGHT = 1000.0, 100.0
EDGE = 10  # looks that are shown from the beginning and from the end
POINTS = 200  # that a small drawing has at most
MOST = 60  # looks that are shown at all; record.json has every one


@dataclass(frozen=True)
class Look:
    """A row of a gate's looks: time of day, value, baseline and verdict in words; or a word on rows left out."""

    when: str
    value: str
    baseline: str
    verdict: str
    left_out: int = 0


@dataclass(frozen=True)
class View:
    """What the page shows of a gate. `paths`: kind -> SVG path of value, baseline and limit."""

    gate: Gate
    measured: str
    wanted: str
    counted: str
    paths: dict[str, str]
    looks: list[Look]
    description: str


def gates(found: Sequence[Gate]) -> list[View]:
    """All gates, those that did not pass first."""
    return [view(one) for one in sorted(found, key=lambda one: one.verdict == "pass")]


def view(gate: Gate) -> View:
    """One gate."""
    counts = Counter(str(one.verdict) for one in gate.samples)
    counted = ", ".join(f"{number:,} {WORDS[name]}" for name in WORDS if (number := counts[name]))
    values = [one.value for one in gate.samples if one.value is not None]
    limit = figure(gate.limit, gate.unit)
    seen = "nothing measured"
    if values:
        seen = f"from {figure(min(values), gate.unit)} to {figure(max(values), gate.unit)}"
    held = f", limit {limit}" if gate.limit is not None else ""
    return View(
        gate=gate,
        measured=figure(gate.value, gate.unit),
        wanted=f"{gate.op} {limit}".strip() if gate.limit is not None else "",
        counted=counted or "never looked at",
        paths=paths(gate) if len(values) > 1 else {},
        looks=looks(gate),
        description=f"{plural(len(gate.samples), 'look')}, {seen}{held}",
    )


def figure(value: float | None, unit: str) -> str:
    """A number with its unit, with as many digits as a person reads; a dash for none."""
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}".strip() if abs(value) >= 100 else f"{value:.3g} {unit}".strip()


def paths(gate: Gate) -> dict[str, str]:
    """The looks from left to right; the limit as a line across."""
    worst = min if gate.op.startswith(">") else max
    series = {
        "value": thinned([one.value for one in gate.samples], worst),
        "baseline": thinned([one.baseline for one in gate.samples], worst),
        "limit": [gate.limit, gate.limit],
    }
    known = [value for values in series.values() for value in values if value is not None]
    low, high = min([0.0, *known]), max(known)
    scale = (high - low) * 1.1 or 1.0
    made = {}
    for name, values in series.items():
        words, broken = [], True
        for number, value in enumerate(values):
            if value is not None:
                x, y = WIDTH * number / max(1, len(values) - 1), HEIGHT * (1 - (value - low) / scale)
                words.append(f"{'M' if broken else 'L'}{round(x, 1):g} {round(y, 1):g}{'h.1' if broken else ''}")
            broken = value is None
        if words:
            made[name] = "".join(words)
    return made


def thinned(values: Sequence[float | None], worst: Callable[..., float]) -> list[float | None]:
    """No more than POINTS values; the worst stands for its neighbours, so that no bad look is lost from sight."""
    step = -(-len(values) // POINTS)
    parts = (values[start : start + step] for start in range(0, len(values), step or 1))
    return [worst((one for one in part if one is not None), default=None) for part in parts]


def looks(gate: Gate) -> list[Look]:
    """The looks that a person wants to see: the first, the last, and those that did not pass; never too many."""
    samples = gate.samples
    edges = {*range(min(EDGE, len(samples))), *range(max(0, len(samples) - EDGE), len(samples))}
    odd = [number for number, one in enumerate(samples) if one.verdict != "pass" and number not in edges]
    kept = sorted(edges | set(odd[: MOST - len(edges)]))
    rows, last = [], -1
    for number in kept:
        if number > last + 1:
            rows.append(Look("", "", "", "", left_out=number - last - 1))
        rows.append(_look(samples[number], gate.unit))
        last = number
    return rows


def _look(sample: GateSample, unit: str) -> Look:
    return Look(
        when=f"{sample.t:%H:%M:%S}",
        value=figure(sample.value, unit),
        baseline=figure(sample.baseline, unit),
        verdict=sample.verdict,
    )
