"""What the record says of the prober's samples: small, in any order the same, and nothing lost between intervals."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from changeover import series
from changeover.probe import Sample
from changeover.record_probe import EXAMPLES, MOST, Moment

START = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sample(
    seconds: float, ms: float = 10.0, error: str | None = None, slot: str | None = None, kind: str = "h1"
) -> Sample:
    moment = at(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Sample(t=moment, kind=kind, method="GET", path="/api", ms=ms, error=error, slot=slot)


def move(kind, since: float, until: float, system: str = "shop", label: str = "traffic to 1.1.0") -> Moment:
    return Moment(system=system, kind=kind, label=label, at=at(since), until=at(until))


def test_samples_become_intervals_of_a_second():
    made = series.probe("f", "shop", [sample(0, 10), sample(0.5, 30), sample(1.2, 20, slot="blue")], [])
    assert [(one.t, one.sent, one.p50, one.p95, one.max, one.slots) for one in made.series] == [
        (at(0), 2, 20.0, 29.0, 30.0, {}),
        (at(1), 1, 20.0, 20.0, 20.0, {"blue": 1}),
    ]


def test_failures_and_sockets_have_no_latency():
    (one,) = series.probe("f", "shop", [sample(0, 9, error="502"), sample(0.1, 9, kind="ws")], []).series
    assert (one.sent, one.failed, one.p50, one.p95, one.max) == (2, 1, None, None, None)


def test_an_interval_without_a_request_is_left_out():
    made = series.probe("f", "shop", [sample(0), sample(7.5)], [])
    assert [one.t for one in made.series] == [at(0), at(7)]


@pytest.mark.parametrize("length, width", [(1, 1), (599, 1), (600, 2), (1800, 5), (86400, 300), (40 * 86400, 5770)])
def test_however_long_it_is_the_series_stays_short_and_counts_them_all(length: int, width: float):
    samples = [sample(length * number / 2000) for number in range(2001)]
    made = series.probe("f", "shop", samples, [])
    assert made.width == width and len(made.series) <= MOST
    assert sum(one.sent for one in made.series) == made.sent == 2001


def test_before_and_after_each_move_side_by_side():
    moves = [
        move("switch", 2, 4),
        move("confirm", 6, 6, label="1.1.0 is confirmed"),
        move("back", 8, 9, label="back to 1.0.0"),
        move("switch", 0, 1, system="hello"),
    ]
    samples = [sample(n, ms=10 if n < 2 else 50, error="500" if n == 5 else None) for n in range(10)]
    spans = series.probe("f", "shop", samples, moves).spans
    assert [(one.name, one.sent, one.failed, one.p50) for one in spans] == [
        ("before traffic to 1.1.0", 2, 0, 10.0),
        ("from traffic to 1.1.0 on", 6, 1, 50.0),
        ("from back to 1.0.0 on", 2, 0, 50.0),
    ]
    assert (spans[1].since, spans[1].until) == (at(2), at(7))


def test_the_order_in_the_file_is_of_no_account():
    samples = [
        sample(n / 7, ms=n % 13, slot="blue" if n % 2 else "green", error="x" if n % 9 == 0 else None)
        for n in range(99)
    ]
    mixed = random.Random(1).sample(samples, len(samples))
    moves = [move("switch", 3, 4)]
    assert series.probe("f", "shop", mixed, moves) == series.probe("f", "shop", samples, moves)


def test_the_first_failures_are_told_and_no_more_than_a_few():
    samples = [sample(n, error="e" * 1000, slot="green") for n in range(EXAMPLES + 5)]
    made = series.probe("f", "shop", samples, [])
    assert made.failed == EXAMPLES + 5 and len(made.failures) == EXAMPLES
    assert (made.failures[0].request, made.failures[0].slot) == ("GET /api (h1)", "green")
    assert len(made.failures[0].error) == series.LONGEST


def test_no_samples_are_no_trouble():
    made = series.probe("f", "shop", [], [move("switch", 0, 1)])
    assert (made.sent, made.series, made.spans) == (0, [], [])
