"""The report of one run for people: one HTML page, made from record.json and nothing else."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from changeover import record as records
from changeover.chart import chart
from changeover.record import Record, Step
from changeover.report_gates import SIGNS, gates
from changeover.report_words import clock, duration, headline, milliseconds, plural, seconds, split

TEMPLATES = Path(__file__).parent.parent / "templates" / "report"
WORST = ("failed", "undone", "changed", "ok", "skipped")
MARKS = {"failed": "✕", "undone": "↶", "changed": "◆", "ok": "✓", "skipped": "–"}
OUTCOMES = {
    "ok": ("✓", "done"),
    "rolled_back": ("↶", "went back"),
    "refused": ("✕", "refused"),
    "failed": ("✕", "failed"),
    "needs_person": ("!", "needs a person"),
    "interrupted": ("✕", "interrupted"),
}
ROUND = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
FEW = 12  # hosts: of more than this the timeline shows those that failed, and the others when asked
MERGE = 0.3  # percent of the timeline: steps of one kind that are closer than this are drawn as one bar
MOST_SETTINGS = 200  # of a system, that the page shows; record.json has all
TAIL = 3000  # characters of a step's output that the page shows; record.json has all


@dataclass(frozen=True)
class Bar:
    """A piece of a timeline row: left edge and width in percent of the run, and what it shows."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True)
class Row:
    """A phase or a host: its bars, time in seconds, steps counted by kind, and by phase for a host."""

    name: str
    bars: list[Bar]
    seconds: float
    counts: list[tuple[str, int]]
    cells: list[list[tuple[str, int]]]


@dataclass(frozen=True)
class Group:
    """Hosts on which a step went the same way: offset from the run's start and slowest time in seconds."""

    name: str
    phase: str
    kind: str
    hosts: str
    offset: float
    seconds: float
    slowest: str
    detail: str


def kind(step: Step) -> str:
    """What the page shows of a step: its outcome, or `undone` where the run took it back."""
    return "undone" if step.undone and step.outcome != "failed" else step.outcome


def count(steps: Iterable[Step]) -> list[tuple[str, int]]:
    """How many steps went which way, the worst first."""
    found = Counter(map(kind, steps))
    return [(name, found[name]) for name in WORST if found[name]]


def notable(counts: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """What a small cell shows of the counts: what is out of the ordinary, or else the first."""
    return [(name, number) for name, number in counts if name not in ("ok", "skipped")] or counts[:1]


def bars(steps: Iterable[Step], record: Record) -> list[Bar]:
    """The steps along the run's time, neighbours of one kind as one bar."""
    span = seconds(record.started, record.ended) or 1.0
    drawn: list[Bar] = []
    for step in sorted(steps, key=lambda step: step.start):
        left = min(100.0, 100 * seconds(record.started, step.start) / span)
        right = min(100.0, max(left, 100 * seconds(record.started, step.end) / span))
        last = drawn[-1] if drawn else None
        if last and last.kind == kind(step) and left - last.left - last.width < MERGE:
            drawn[-1] = Bar(last.left, max(last.width, right - last.left), last.kind)
        else:
            drawn.append(Bar(left, right - left, kind(step)))
    return drawn


def span(steps: Sequence[Step]) -> float:
    """Seconds from the first step's start to the last one's end."""
    return seconds(min(step.start for step in steps), max(step.end for step in steps))


def ticks(total: float) -> float:
    """Seconds between two marks of the time axis: at most six, at a round distance."""
    return next((every for every in ROUND if total / every <= 6), total / 6)


def groups(steps: Sequence[Step], record: Record) -> list[Group]:
    """The steps with the hosts on which they went the same way put together, in the order of the run."""
    everywhere = split(steps, "host").keys()
    alike: dict[tuple[str, str, str, str], list[Step]] = {}
    for step in steps:
        alike.setdefault((step.phase, step.name, kind(step), step.detail), []).append(step)
    rows = []
    for (phase, name, what, detail), same in alike.items():
        hosts = split(same, "host").keys()
        slow = max(same, key=lambda step: seconds(step.start, step.end))
        whole = len(hosts) > 1 and hosts == everywhere
        rows.append(
            Group(
                name=name,
                phase=phase,
                kind=what,
                hosts=f"all {len(hosts)} hosts" if whole else ", ".join(hosts),
                offset=seconds(record.started, min(step.start for step in same)),
                seconds=seconds(slow.start, slow.end),
                slowest=slow.host if len(hosts) > 1 else "",
                detail=detail if len(detail) <= TAIL else f"(earlier output: record.json) …{detail[-TAIL:]}",
            )
        )
    return rows


def rows(record: Record, key: str, cells: Iterable[str] = ()) -> list[Row]:
    """The timeline's rows by phase or by host, what failed first among hosts."""
    made = []
    for name, steps in split(record.steps, key).items():
        phases = split(steps, "phase")
        made.append(
            Row(
                name=name,
                bars=bars(steps, record),
                seconds=span(steps),
                counts=count(steps),
                cells=[notable(count(phases.get(phase, []))) for phase in cells],
            )
        )
    failed = [row for row in made if row.counts[0][0] == "failed"] if key == "host" else []
    return failed + [row for row in made if row not in failed]


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(duration=duration, plural=plural, notable=notable, clock=clock, ms=milliseconds)
    made.globals.update(marks=MARKS, outcomes=OUTCOMES, signs=SIGNS, most_settings=MOST_SETTINGS)
    return made


def contents(record: Record) -> list[tuple[str, str]]:
    """The sections that a person jumps to: id and title; none of a page that is short."""
    found = [
        ("systems", "What changed" if record.outcome == "ok" else "What was asked for", True),
        ("probe", "Requests", record.probe),
        ("gates", "Gates", record.gates),
        ("checklist", "Checklist", record.checklist),
        ("timeline", "Timeline", record.steps),
        ("hosts", "Hosts", record.steps or record.changes),
        ("steps", "Steps", record.steps),
    ]
    wanted = [(id_, title) for id_, title, there in found if there]
    return wanted if record.steps or record.probe else []


def render(record: Record) -> str:
    """The page: self-contained HTML without scripts or anything from elsewhere.

    Arguments: record. Pure: the same record gives the same page. Source: S2, S4 (report), UX (tone).
    """
    total = seconds(record.started, record.ended)
    phases = split(record.steps, "phase")
    hosts = rows(record, "host", phases)
    stepped = {row.name for row in hosts}
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            record=record,
            headline=headline(record),
            total=total,
            tick=ticks(total),
            phases=[(row, groups(phases[row.name], record)) for row in rows(record, "phase")],
            hosts=hosts,
            shown=hosts if len(hosts) <= FEW else [row for row in hosts if row.counts[0][0] == "failed"],
            idle={name: number for name, number in record.changes.items() if name not in stepped},
            chart=chart(record),
            gates=gates(record.gates),
            migrated=any(system.migration for system in record.systems),
            toc=contents(record),
            failures=groups([step for step in record.steps if step.outcome == "failed"], record),
        )
    )


def write(record: Record, directory: Path) -> Path:
    """Write index.html into a directory, atomically, and return its path. Errors: OSError."""
    return records.write_file(directory / "index.html", render(record))


def publish(record: Record, reports: Path) -> Path:
    """Write record.json and index.html into <reports>/<utc time>-<release>/ and point <reports>/latest to it.

    One that was rebuilt later does not take that place from a run that began after it. Returns the page's path.
    Errors: OSError. Source: DESIGN (how it is used).
    """
    directory = reports / records.directory_name(record.started, record.release.to)
    records.write(record, directory)
    page = write(record, directory)
    newest = (reports / "latest").resolve().name
    if record.rebuilt and newest != "latest" and newest > directory.name:
        return page
    link = reports / f".latest.{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(directory.name)
    link.replace(reports / "latest")
    return page
