"""The prober's samples, made small enough for the record: by intervals, and before and after each move. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import quantiles

from changeover.probe import SOCKET, Sample
from changeover.record_probe import EXAMPLES, MOST, FailedRequest, Figures, Interval, Moment, Probe, Span

WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)  # seconds of an interval
LONGEST = 300  # characters of what was wrong with a request


def probe(file: str, system: str, samples: Iterable[Sample], moments: Sequence[Moment]) -> Probe:
    """What the record says of the samples. Their order is of no account.

    Arguments: the name of their file beside the record; the system; the samples; the moves of its traffic.
    """
    ordered = sorted(samples, key=lambda sample: (sample.t, sample.kind, sample.path))
    mine = sorted((one for one in moments if one.system == system), key=lambda one: one.at)
    failed = [sample for sample in ordered if sample.error]
    every = width(ordered)
    return Probe(
        file=file,
        system=system,
        sent=len(ordered),
        failed=len(failed),
        width=every,
        series=series(ordered, every),
        spans=spans(ordered, mine),
        failures=[
            FailedRequest(
                t=sent(one),
                request=f"{one.method} {one.path} ({one.kind})",
                slot=one.slot or "",
                error=(one.error or "")[:LONGEST],
            )
            for one in failed[:EXAMPLES]
        ],
    )


def sent(sample: Sample) -> datetime:
    """When a sample was sent."""
    return datetime.fromisoformat(sample.t)


def width(ordered: Sequence[Sample]) -> float:
    """Seconds of an interval: the shortest round one of which the time of these samples has no more than MOST."""
    if not ordered:
        return float(WIDTHS[0])
    length = (sent(ordered[-1]) - sent(ordered[0])).total_seconds()
    return next((float(one) for one in WIDTHS if length // one < MOST), length // (MOST - 1) + 1)


def series(ordered: Sequence[Sample], every: float) -> list[Interval]:
    """The samples by intervals of so many seconds, from the first one's time on."""
    if not ordered:
        return []
    start = sent(ordered[0])
    parts: dict[int, list[Sample]] = {}
    for sample in ordered:
        parts.setdefault(int((sent(sample) - start).total_seconds() // every), []).append(sample)
    return [
        Interval(
            t=start + timedelta(seconds=number * every),
            slots=dict(sorted(Counter(one.slot for one in group if one.slot).items())),
            **figures(group).model_dump(),
        )
        for number, group in parts.items()
    ]


def spans(ordered: Sequence[Sample], moments: Sequence[Moment]) -> list[Span]:
    """The samples between the moves, each with the move that began it; what was sent during a move comes after it.

    A confirmation moves nothing, and divides nothing.
    """
    moves = [one for one in moments if one.kind != "confirm"]
    if not moves:
        parts = [("the whole time", list(ordered))]
    else:
        parts = [(f"before {moves[0].label}", [one for one in ordered if sent(one) < moves[0].at])]
        for move, following in zip(moves, [*moves[1:], None], strict=True):
            group = [one for one in ordered if move.at <= sent(one) and (not following or sent(one) < following.at)]
            parts.append((f"from {move.label} on", group))
    return [
        Span(name=name, since=sent(group[0]), until=sent(group[-1]), **figures(group).model_dump())
        for name, group in parts
        if group
    ]


def figures(group: Sequence[Sample]) -> Figures:
    """Counts, and the latencies of the right answers."""
    times = [one.ms for one in group if not one.error and one.kind != SOCKET]
    cuts = quantiles(times * 2 if len(times) == 1 else times, n=20, method="inclusive") if times else None
    return Figures(
        sent=len(group),
        failed=sum(bool(one.error) for one in group),
        p50=round(cuts[9], 1) if cuts else None,
        p95=round(cuts[18], 1) if cuts else None,
        max=round(max(times), 1) if times else None,
    )
