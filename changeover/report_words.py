"""The report's words: times, counts, and one sentence that says what happened. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from changeover import record as records
from changeover.record import Record, Step, System

VERBS = {
    "rolled_back": "was undone",
    "refused": "was refused",
    "failed": "failed",
    "needs_person": "stopped and needs a person",
    "interrupted": "was interrupted",
}


def seconds(start: datetime, end: datetime) -> float:
    """Seconds between two times; 0 where the clock went backwards."""
    return max(0.0, (end - start).total_seconds())


def duration(value: float) -> str:
    """Seconds as a person says them: 0.4 s, 38 s, 4 m, 4 m 31 s, 1 h 03 m."""
    if round(value, 1) < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{rest} s" if not minutes else f"{minutes} m {rest:02} s" if rest else f"{minutes} m"
    return f"{minutes // 60} h {minutes % 60:02} m"


def plural(number: int, noun: str) -> str:
    """1 host, 2 hosts, 1,204 requests."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def split(steps: Iterable[Step], key: str) -> dict[str, list[Step]]:
    """The steps by phase or by host, in the order of first appearance."""
    parts: dict[str, list[Step]] = {}
    for step in steps:
        parts.setdefault(getattr(step, key) or "steps", []).append(step)
    return parts


def clause(system: System, outcome: str) -> str:
    """What happened to one system, as a part of the headline."""
    name, before, after = system.name, system.release.from_, system.release.to
    if outcome == "ok" and after in (records.NONE_YET, records.UNKNOWN):
        return f"single phases of {name} ran (live: {after})"
    if outcome == "ok" and before in (None, after):
        return f"{name} {after} was {'deployed again' if before else 'installed'}"
    if outcome == "ok":
        return f"{name} went from {before} to {after}"
    if outcome == "rolled_back" and before not in (None, after):
        return f"{name} went back from {after} to {before}"
    what = "the deploy of" if before == after else "the release of" if before else "the installation of"
    origin = f" (from {before})" if before not in (None, after) else ""
    return f"{what} {name} {after}{origin} {VERBS[outcome]}"


def headline(record: Record) -> str:
    """One sentence: what happened, where, by whom, how long it took. Source: UX."""
    moving = [system for system in record.systems if system.release.from_ != system.release.to]
    what = listed([clause(system, record.outcome) for system in moving or record.systems])
    hosts = len(record.changes) or len(split(record.steps, "host"))
    bad = list(split((step for step in record.steps if step.outcome == "failed"), "host"))
    where = f"on {plural(hosts, 'host')} of {record.environment}" if hosts else f"in {record.environment}"
    where = f"in {record.environment}" if record.rebuilt else where  # the journal is one host's
    if bad and record.outcome == "failed":
        names = f"{listed(bad)}, " if len(bad) <= 3 else ""
        where = f"on {names}{len(bad)} of {plural(hosts, 'host')} of {record.environment}"
    took = duration(seconds(record.started, record.ended))
    changed = any(record.changes.values()) or any(step.outcome == "changed" for step in record.steps)
    released = record.outcome == "ok" and any(s.release.from_ != s.release.to for s in record.systems)
    calm = not changed and not released and record.outcome in ("ok", "refused")
    sentence = f"{what} {where}, by {record.actor}, {'in' if record.outcome == 'ok' else 'after'} {took}"
    # A system's name keeps its small letter, a sentence that begins with a word does not.
    sentence = f"T{sentence[1:]}" if sentence.startswith("the ") else sentence
    probe = record.probe
    probed = f"; {probe.failed:,} of {plural(probe.sent, 'probed request')} failed" if probe and probe.sent else ""
    return f"{sentence}{probed}{'; nothing changed' if calm else ''}."


def milliseconds(value: float | None) -> str:
    """A latency as a person says it: 8.4 ms, 41 ms, 1.2 s; a dash where nothing was answered."""
    if value is None:
        return "–"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def clock(moment: datetime, day: datetime | None = None) -> str:
    """A time of day in UTC; with the day, where that is another one than `day`'s. Arguments: the time; the day."""
    return f"{moment:%H:%M:%S}" if day is None or day.date() == moment.date() else f"{moment:%d %b %H:%M:%S}"
