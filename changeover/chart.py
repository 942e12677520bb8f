"""The prober's latencies and failures, drawn against the moves of the traffic: numbers for an SVG. Pure.

The drawing is WIDTH wide and stretched to the page; `top` and `height` are the same in it and, by ten, in rem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from changeover.record import Record
from changeover.record_probe import Interval, Moment, Probe
from changeover.report_words import clock, duration, milliseconds, plural

WIDTH = 1000.0
LATENCY, FAILED, LANE, GAP = 100.0, 18.0, 12.0, 7.0  # heights of the parts
ROOM = 1.15  # the highest p95 is not drawn at the very top
NEAR = 5.0  # percent of the width: marks that are closer are numbered one below the other
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
MOST_TICKS = 4  # times that fit below the drawing on a phone


@dataclass(frozen=True)
class Box:
    """A rectangle in the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Lane:
    """A row of boxes with a name: requests that failed, or that a slot answered. `top` in the drawing."""

    name: str
    top: float
    height: float
    boxes: list[Box]


@dataclass(frozen=True)
class Mark:
    """A move of the traffic: its number, where it begins and how wide it is (percent), and what a person reads."""

    number: int
    left: float
    width: float
    level: int
    kind: str
    label: str
    when: str
    took: float


@dataclass(frozen=True)
class Chart:
    """All that the page draws. `lines`: kind -> path; `top`: milliseconds at the upper edge; `ticks`: percent, time."""

    height: float
    top: float
    lines: dict[str, str]
    lanes: list[Lane]
    marks: list[Mark]
    ticks: list[tuple[float, str]]
    cut: str
    description: str


def chart(record: Record) -> Chart | None:
    """The drawing of a record's probe; None where nothing was probed."""
    probe = record.probe
    if probe is None or not probe.series:
        return None
    mine = [one for one in record.moments if probe.system in ("", one.system)]
    start = min([probe.series[0].t, *(one.at for one in mine)])
    end = max([probe.series[-1].t + timedelta(seconds=probe.width), *(one.until for one in mine)])
    length = max((end - start).total_seconds(), 1e-3)

    def x(moment: datetime) -> float:
        return round(WIDTH * (moment - start).total_seconds() / length, 1)

    top = highest(probe)
    half = timedelta(seconds=probe.width / 2)
    lines = {
        name: path([(x(one.t + half), value(one)) for one in probe.series], top, probe, x)
        for name, value in VALUES.items()
    }
    wide = max(1.0, round(WIDTH * probe.width / length, 1))
    lanes = lanes_of(probe, x, wide)
    peak = max((one.max for one in probe.series if one.max is not None), default=0.0)
    return Chart(
        height=lanes[-1].top + lanes[-1].height,
        top=top,
        lines=lines,
        lanes=lanes,
        marks=marks(mine, x),
        ticks=ticks(start, length),
        cut=f"the slowest answers, up to {milliseconds(peak)}, are above the upper edge" if peak > top else "",
        description=described(probe, mine, length),
    )


VALUES: dict[str, Callable[[Interval], float | None]] = {
    "max": lambda one: one.max,
    "p95": lambda one: one.p95,
    "p50": lambda one: one.p50,
}


def highest(probe: Probe) -> float:
    """Milliseconds at the upper edge: a round number above all p95; single slow answers are cut off there."""
    wanted = ROOM * max((one.p95 for one in probe.series if one.p95 is not None), default=1.0)
    size = 10.0 ** (len(str(int(wanted))) - 1)
    return next(step * size for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * size >= wanted)


def path(
    points: Sequence[tuple[float, float | None]], top: float, probe: Probe, x: Callable[[datetime], float]
) -> str:
    """An SVG path through the points; it is broken where nothing was answered, or nothing asked for an interval."""
    words, last = [], None
    far = 2.5 * (x(probe.series[0].t + timedelta(seconds=probe.width)) - x(probe.series[0].t))
    for at, value in points:
        if value is not None:
            y = round(LATENCY * (1 - min(value, top) / top), 1)
            joined = last is not None and at - last < far
            words.append(f"L{at:g} {y:g}" if joined else f"M{at:g} {y:g}h.1")
        last = at if value is not None else None
    return "".join(words)


def lanes_of(probe: Probe, x: Callable[[datetime], float], wide: float) -> list[Lane]:
    """The rows below the latencies: failed requests, the most of an interval being full height; then each slot's."""
    top = LATENCY + GAP
    most = max((one.failed for one in probe.series), default=0)
    boxes = []
    for one in probe.series:
        if one.failed:
            high = round(max(4.0, FAILED * one.failed / most), 1)
            boxes.append(Box(x(one.t), round(top + FAILED - high, 1), wide, high))
    lanes = [Lane("failed", top, FAILED, boxes)]
    for slot in sorted({slot for one in probe.series for slot in one.slots}):
        top = lanes[-1].top + lanes[-1].height + GAP
        times = [one.t for one in probe.series if slot in one.slots]
        lanes.append(Lane(slot, top, LANE, joined([(x(time), wide) for time in times], top)))
    return lanes


def joined(spans: Sequence[tuple[float, float]], top: float) -> list[Box]:
    """Neighbours as one box: a slot that answered all the time is one bar."""
    boxes: list[Box] = []
    for left, wide in spans:
        if boxes and left - (boxes[-1].x + boxes[-1].width) <= 1.5 * wide:
            boxes[-1] = Box(boxes[-1].x, top, round(left + wide - boxes[-1].x, 1), LANE)
        else:
            boxes.append(Box(left, top, wide, LANE))
    return boxes


def marks(moments: Sequence[Moment], x: Callable[[datetime], float]) -> list[Mark]:
    """The moves, numbered; one that would hide the number before it is written lower."""
    made: list[Mark] = []
    for number, one in enumerate(moments, 1):
        left, right = x(one.at) / 10, x(one.until) / 10
        near = bool(made) and left - made[-1].left < NEAR
        level = (made[-1].level + 1) % 4 if near else 0
        took = (one.until - one.at).total_seconds()
        width = round(max(0.0, right - left), 2)
        made.append(Mark(number, round(left, 2), width, level, one.kind, one.label, clock(one.at), took))
    return made


def ticks(start: datetime, length: float) -> list[tuple[float, str]]:
    """Times below the drawing, at round distances: percent from the left, and the time of day."""
    every = next((one for one in TICKS if length / one <= MOST_TICKS), length / MOST_TICKS)
    begin = start.timestamp()
    first = (begin // every + 1) * every
    count = int((begin + length - first) // every) + 1
    style = "%H:%M:%S" if every < 60 else "%H:%M"
    return [
        (round(100 * (moment - begin) / length, 2), f"{datetime.fromtimestamp(moment, start.tzinfo):{style}}")
        for moment in (first + every * number for number in range(count))
        if moment <= begin + length * 0.97
    ]


def described(probe: Probe, moments: Sequence[Moment], length: float) -> str:
    """The drawing in words, for whoever does not see it."""
    parts = [f"{plural(probe.sent, 'request')} in {duration(length)}, {probe.failed:,} failed."]
    parts += [
        f"{one.name[0].upper()}{one.name[1:]}: {plural(one.sent, 'request')}, {one.failed:,} failed, half answered "
        f"within {milliseconds(one.p50)}, 19 of 20 within {milliseconds(one.p95)}."
        for one in probe.spans
    ]
    return " ".join([*parts, *(f"{one.label} at {clock(one.at)}." for one in moments)])
