"""The drawing of what the prober saw: numbers that an SVG can only be right with."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from changeover.chart import GAP, LATENCY, WIDTH, chart
from changeover.record_probe import Interval, Moment, Probe
from tests.records import made, release, went_back

START = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def second(number: float, p95: float | None = 50.0, failed: int = 0, slots=None, peak: float | None = None) -> Interval:
    half = p95 / 2 if p95 else None
    return Interval(
        t=at(number), sent=10, failed=failed, p50=half, p95=p95, max=peak or p95, slots=slots or {"blue": 3}
    )


def drawn(series: list[Interval], moments=(), width: float = 1.0):
    probe = Probe(file="f", system="shop", sent=10 * len(series), failed=0, width=width, series=series)
    found = chart(made(probe=probe, moments=list(moments)))
    assert found
    return found


def move(kind: str, since: float, until: float) -> Moment:
    return Moment.model_validate({"system": "shop", "kind": kind, "label": kind, "at": at(since), "until": at(until)})


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([\d.]+)", path)]


def test_nothing_probed_is_nothing_drawn():
    assert chart(made()) is None
    assert chart(made(probe=Probe(file="f", sent=0, failed=0))) is None


def test_a_line_goes_through_the_middle_of_its_intervals_and_up_means_slower():
    found = drawn([second(0, 50), second(1, 100), second(2, 25), second(3, 50)])
    assert found.top == 150
    assert points(found.lines["p95"]) == [(125, 66.7), (375, 33.3), (625, 83.3), (875, 66.7)]
    assert points(found.lines["p50"])[1] == (375, 66.7)


def test_where_nothing_was_answered_the_line_is_broken_and_a_lone_point_is_seen():
    found = drawn([second(0), second(1, None), second(2), second(3), second(9)])
    assert re.sub(r"[\d. ]+", "", found.lines["p95"]) == "MhMhLMh"


def test_slow_single_answers_are_cut_at_the_edge_and_that_is_said():
    found = drawn([second(0, 50, peak=2000), second(1, 50)])
    assert found.top == 60 and points(found.lines["max"])[0][1] == 0
    assert found.cut == "the slowest answers, up to 2.0 s, are above the upper edge"
    assert drawn([second(0), second(1)]).cut == ""


def test_failures_stand_below_each_as_high_as_it_is_bad():
    found = drawn([second(0), second(1, failed=1), second(2, failed=4), second(3)])
    small, large = found.lanes[0].boxes
    assert (small.x, large.x, large.width) == (250, 500, 250)
    assert small.height == large.height / 4 and small.y + small.height == large.y + large.height


def test_each_slot_has_its_lane_and_is_one_bar_while_it_answers():
    series = [second(n, slots={"blue": 3} if n < 4 or n > 7 else {"green": 3}) for n in range(10)]
    found = drawn(series)
    assert [(lane.name, len(lane.boxes)) for lane in found.lanes] == [("failed", 0), ("blue", 2), ("green", 1)]
    assert (found.lanes[2].boxes[0].x, found.lanes[2].boxes[0].width) == (400, 400)
    assert found.lanes[1].top == LATENCY + GAP + 18 + GAP and found.height == found.lanes[2].top + 12


def test_moves_are_where_they_were_and_numbers_do_not_hide_each_other():
    found = drawn(
        [second(n) for n in range(100)], [move("switch", 10, 15), move("step", 12, 12), move("confirm", 80, 80)]
    )
    assert [(mark.number, mark.left, mark.width, mark.level) for mark in found.marks] == [
        (1, 10, 5, 0),
        (2, 12, 0, 1),
        (3, 80, 0, 0),
    ]
    assert found.marks[0].when == "14:03:32" and found.marks[0].took == 5


def test_a_move_before_the_first_request_is_still_in_the_drawing():
    found = drawn([second(10), second(11)], [move("switch", 0, 4)])
    assert found.marks[0].left == 0 and points(found.lines["p95"])[0][0] == 875


def test_moves_of_another_system_are_not_drawn():
    other = move("switch", 1, 1).model_copy(update={"system": "hello"})
    assert drawn([second(0), second(1)], [other]).marks == []


@pytest.mark.parametrize(
    "length, texts",
    [
        (8, ["14:03:24", "14:03:26", "14:03:28"]),
        (60, ["14:03:30", "14:03:45", "14:04:00", "14:04:15"]),
        (3600, ["14:15", "14:30", "14:45", "15:00"]),
    ],
)
def test_times_below_are_round_and_few(length: int, texts: list[str]):
    found = drawn([second(number * length / 40, slots={}) for number in range(40)], width=length / 40)
    assert [text for _, text in found.ticks] == texts
    assert all(0 < left <= 97 for left, _ in found.ticks)


def test_everything_is_inside():
    for record in (release(), went_back()):
        found = chart(record)
        assert found
        for path in found.lines.values():
            assert all(0 <= x <= WIDTH and 0 <= y <= LATENCY for x, y in points(path))
        for lane in found.lanes:
            for box in lane.boxes:
                assert 0 <= box.x and box.x + box.width <= WIDTH + 1
                assert lane.top <= box.y and box.y + box.height <= lane.top + lane.height + 0.1


def test_the_words_say_before_and_after():
    said = chart(went_back())
    assert said and "Before traffic to 1.1.0: 120 requests, 0 failed, half answered within 24 ms" in said.description
    assert "back to 1.0.0 at 14:07:30." in said.description
