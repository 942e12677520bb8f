"""The requests of a run, one line each with its time, and the questions that tests ask of them."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from .clients import Sent

Window = tuple[float, float]  # Unix times, from and to
EXAMPLES = 3


def read(path: Path) -> list[Sent]:
    """A run's series, in order of time. Raises OSError."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return sorted(map(_sent, rows), key=lambda sent: sent.t)


def _sent(row: dict[str, Any]) -> Sent:
    numbers = {"t": float(row["t"]), "ms": float(row["ms"]), "status": int(row["status"])}
    return Sent(**{**row, **numbers, "slow": row["slow"] == "True"})


def failures(series: Iterable[Sent], since: float = 0.0, until: float = float("inf")) -> list[Sent]:
    """Failed requests that were on their way at some time between `since` and `until` (Unix time, s). Pure."""
    return [sent for sent in series if sent.error and sent.t <= until and sent.t + sent.ms / 1000 >= since]


def within(series: Iterable[Sent], windows: Sequence[Window], margin: float = 0.0) -> tuple[list[Sent], list[Sent]]:
    """The requests on their way in one of the windows (widened by `margin` seconds), and all others. Pure."""
    inside: list[Sent] = []
    outside: list[Sent] = []
    for sent in series:
        end = sent.t + sent.ms / 1000
        hit = any(sent.t <= until + margin and end >= since - margin for since, until in windows)
        (inside if hit else outside).append(sent)
    return inside, outside


def latency(series: Iterable[Sent]) -> dict[str, float]:
    """p50, p95, p99 and most, in ms, of answered requests that are not slow on purpose; {} when there are none."""
    times = [sent.ms for sent in series if not sent.slow and not sent.error]
    if len(times) < 2:
        return {}
    cuts = quantiles(times, n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(times)}
    return {name: round(value, 1) for name, value in found.items()}


def compare(series: Sequence[Sent], windows: Sequence[Window], margin: float = 0.5) -> dict[str, Any]:
    """Latency and losses in the windows (switches) and outside of them (rest), and the ratio of their p99. Pure."""
    inside, outside = within(series, windows, margin)
    parts = {"switch": inside, "rest": outside}
    found: dict[str, Any] = {
        name: {"sent": len(part), "failed": len(failures(part)), **latency(part)} for name, part in parts.items()
    }
    if "p99" in found["switch"] and "p99" in found["rest"]:
        found["p99_ratio"] = round(found["switch"]["p99"] / found["rest"]["p99"], 2)
    return {"windows": len(windows), "margin": margin, **found}


def kind(sent: Sent) -> str:
    """A failure's kind: what happened, without what differs from one to the next. Pure."""
    return f"{sent.error.partition(': ')[0] if sent.status else sent.error} | {sent.style} {sent.method}"


def totals(series: Sequence[Sent]) -> dict[str, Any]:
    """Counts, latency, failures by kind with the first examples of each. Pure."""
    failed = failures(series)
    kinds: dict[str, list[Sent]] = defaultdict(list)
    for sent in failed:
        kinds[kind(sent)].append(sent)
    span = series[-1].t - series[0].t if len(series) > 1 else 0.0
    return {
        "sent": len(series),
        "failed": len(failed),
        "per_second": round(len(series) / span, 1) if span else 0.0,
        "posts": sum(sent.method == "POST" for sent in series),
        "posts_with_id": sum(bool(sent.id) for sent in series),
        **latency(series),
        "by_style": dict(Counter(sent.style for sent in series)),
        "by_name": dict(Counter(sent.name for sent in series)),
        "by_slot": dict(Counter(sent.slot for sent in series if sent.slot)),
        "failures": {
            name: {"count": len(group), "first": [_example(sent) for sent in group[:EXAMPLES]]}
            for name, group in sorted(kinds.items(), key=lambda pair: -len(pair[1]))
        },
    }


def _example(sent: Sent) -> dict[str, Any]:
    return {"t": round(sent.t, 3), "ms": round(sent.ms, 1), "name": sent.name, "id": sent.id, "error": sent.error}


def by_second(series: Iterable[Sent]) -> list[dict[str, Any]]:
    """Per second of the clock: sent, failed, latency. Pure."""
    buckets: dict[int, list[Sent]] = defaultdict(list)
    for sent in series:
        buckets[int(sent.t)].append(sent)
    return [
        {"t": second, "sent": len(group), "failed": len(failures(group)), **latency(group)}
        for second, group in sorted(buckets.items())
    ]
