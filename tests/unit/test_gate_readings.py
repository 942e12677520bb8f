"""What sources of gates answer, as numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from watching import sample

from changeover.gate_readings import ReadingError, of_answer, of_lines, of_prometheus, of_samples, percentile, slower
from changeover.gates import Reading, Tally
from changeover.settings_gates import DEFAULTS, Gate, Source

GOOD = [sample(ms=float(ms)) for ms in range(1, 101)]
SLOW = sample(ms=5000.0, error="no answer within 5 s")
DOWN = sample(ms=2.0, status=502, error="status 502 instead of 200")
CUT = sample(ms=1.0, error="ReadError: ")
POST = sample(method="POST", path="/y", ms=700.0)
SOCKETS = [sample(kind="ws", status=101), sample(kind="ws new", status=101), sample(kind="ws new", error="refused")]


def source(**values: Any) -> Source:
    return Source.model_validate(values)


@pytest.mark.parametrize(
    "wanted, samples, value, count",
    [
        ({"probe": "p95"}, GOOD, 95.05, 100),
        ({"probe": "p50"}, GOOD, 50.5, 100),
        ({"probe": "p95"}, [*GOOD, *SOCKETS], 95.05, 100),
        ({"probe": "p95"}, [GOOD[8]], 9.0, 1),
        ({"probe": "p95"}, [], None, 0),
        ({"probe": "p95"}, [DOWN, CUT], None, 0),  # an error page is quick; that it came is another gate's affair
        ({"probe": "p95"}, [SLOW, SLOW], 5000.0, 2),  # nobody waited for it: it took that long at least
        ({"probe": "p95", "method": "POST"}, [*GOOD, POST], 700.0, 1),
        ({"probe": "p95", "path": "/y"}, [*GOOD, POST], 700.0, 1),
        ({"probe": "p95", "path": "/z"}, [*GOOD, POST], None, 0),
        ({"probe": "failed"}, [*GOOD, SLOW, DOWN, CUT, *SOCKETS], 300 / 103, 103),
        ({"probe": "5xx"}, [*GOOD, SLOW, DOWN, CUT], 100 / 103, 103),
        ({"probe": "failed", "method": "GET"}, [GOOD[0], POST], 0.0, 1),
        ({"probe": "failed", "method": "WS"}, [*GOOD, *SOCKETS], 100 / 3, 3),
        ({"probe": "failed", "method": "WS"}, GOOD, None, 0),
    ],
)
def test_the_probers_samples(wanted: Any, samples: Any, value: float | None, count: int) -> None:
    found, number = of_samples(source(**wanted), samples)
    assert number == count and (found == value if value is None else found == pytest.approx(value))


def test_percentiles_need_no_many() -> None:
    assert percentile("p95", []) == (None, 0) and percentile("p99", [3.0]) == (3.0, 1)
    assert percentile("p50", [1.0, 3.0]) == (2.0, 2)


@pytest.mark.parametrize(
    "lines, value", [(["42"], 42), (["", " 4.5 ", ""], 4.5), ([], None), ([""], None), (["1e3"], 1000)]
)
def test_a_printed_number(lines: list[str], value: float | None) -> None:
    assert of_lines(lines) == value


@pytest.mark.parametrize(
    "lines, says", [(["ok"], "is no number: ok"), (["1", "2"], "printed 2 lines"), (["1|2"], "1|2")]
)
def test_what_is_printed_and_no_number(lines: list[str], says: str) -> None:
    with pytest.raises(ReadingError, match=says.replace("|", r"\|")):
        of_lines(lines)


ANSWER = {"ms": 12.5, "status": 200, "body": json.dumps({"status": "ok", "up": True, "queue": {"depth": [7, "8"]}})}


@pytest.mark.parametrize(
    "wanted, value",
    [
        ({}, 200),
        ({"take": "ms"}, 12.5),
        ({"take": "$.queue.depth.0"}, 7),
        ({"take": "$.queue.depth.1"}, 8),
        ({"take": "$.up"}, 1),
        ({"take": "$.queue.depth.2"}, None),
        ({"take": "$.nothing.at.all"}, None),
        ({"take": "$.status", "equals": "ok"}, 1),
        ({"take": "$.status", "equals": "degraded"}, 0),
        ({"take": "$.gone", "equals": "ok"}, 0),
        ({"take": "$.up", "equals": True}, 1),
        ({"take": "$.queue.depth.0", "equals": True}, 0),
        ({"take": "status", "equals": 200}, 1),
    ],
)
def test_an_http_answer(wanted: Any, value: float | None) -> None:
    assert of_answer(source(http="/x", **wanted), ANSWER) == value


@pytest.mark.parametrize(
    "wanted, answer, says",
    [
        ({"take": "$.status"}, ANSWER, "is no number: ok"),
        ({"take": "$.queue"}, ANSWER, "is no number"),
        ({"take": "$.status"}, {**ANSWER, "body": "<html>"}, "the answer is no JSON: <html>"),
        ({}, {"error": "ConnectionRefusedError: 111"}, "ConnectionRefusedError: 111"),
        ({}, {"late": 1800.0}, "no answer within 1.8 s"),
    ],
)
def test_an_http_answer_that_is_none(wanted: Any, answer: Any, says: str) -> None:
    with pytest.raises(ReadingError, match=says):
        of_answer(source(http="/x", **wanted), answer)


def gate(op: str) -> Gate:
    return Gate.model_validate({"name": "g", "source": {"promql": "x"}, "op": op, "value": 1})


def prometheus(result: Any, kind: str = "vector") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


def series(*values: str) -> list[Any]:
    return [{"metric": {"n": value}, "value": [1.5, value]} for value in values]


@pytest.mark.parametrize(
    "op, body, value",
    [
        ("==", prometheus(series("1", "0", "1")), 0),
        ("!=", prometheus(series("0", "1")), 1),
        ("<", prometheus(series("0.25")), 0.25),
        ("<", prometheus(series("1", "3", "2")), 3),
        (">", prometheus(series("1", "3", "2")), 1),
        ("<", prometheus([]), None),
        ("<", prometheus(series("NaN")), None),  # 0/0: nobody asked for anything
        ("<", prometheus(series("NaN", "2")), 2),
        ("<", prometheus([1.5, "7"], "scalar"), 7),
    ],
)
def test_an_answer_of_prometheus(op: str, body: str, value: float | None) -> None:
    assert of_prometheus(gate(op), body) == value


@pytest.mark.parametrize(
    "body, says",
    [
        (json.dumps({"status": "error", "errorType": "bad_data", "error": "parse error"}), "bad_data: parse error"),
        ("<html>502", "this is no answer of Prometheus"),
        ("[]", "this is no answer of Prometheus"),
        (prometheus(series("x")), "this is no answer of Prometheus"),
        (prometheus([{"metric": {}, "values": []}], "matrix"), "this is no answer of Prometheus"),
        (prometheus(series("+Inf")), "is infinite"),
    ],
)
def test_an_answer_of_prometheus_that_is_none(body: str, says: str) -> None:
    with pytest.raises(ReadingError, match=says):
        of_prometheus(gate("<"), body)


# --- two slots side by side


@pytest.mark.parametrize(
    "pairs, ratio, says",
    [
        ([], 2.0, False),
        ([(201.0, 100.0)] * 7 + [(100.0, 100.0)] * 3, 2.0, True),
        ([(201.0, 100.0)] * 6 + [(100.0, 100.0)] * 4, 2.0, False),  # six of ten are not more than six tenths
        ([(200.0, 100.0)] * 10, 2.0, False),  # twice is not more than twice
        ([(301.0, 100.0)] * 1 + [(100.0, 100.0)] * 9, 2.0, True),  # a tenth is by far slower than the slowest
        ([(300.0, 100.0)] * 1 + [(100.0, 100.0)] * 9, 2.0, False),
        ([(301.0, 100.0)] * 1 + [(100.0, 100.0)] * 10, 2.0, False),  # less than a tenth
        ([(301.0, 100.0)] * 1 + [(100.0, 101.0)] * 9, 2.0, False),
    ],
)
def test_clearly_slower(pairs: Any, ratio: float, says: bool) -> None:
    assert slower(ratio, pairs) is says


def soaks(change: Callable[[float], float], number: int) -> int:
    """How many of some soaks a default gate ends, on a machine where latencies are all over the place (seeded).

    Ten pairs a look, median 60 ms, one in twenty above 600 ms, and moments in which all is three times as slow.
    """
    dice, ended = random.Random(7), 0
    for _ in range(number):
        tally, pairs = Tally(next(one for one in DEFAULTS if one.name == "p95")), []
        for look in range(1, 7):
            stall = 3 if dice.random() < 0.15 else 1
            pairs += [
                (change(dice.lognormvariate(4.1, 1.4) * stall), dice.lognormvariate(4.1, 1.4) * stall)
                for _ in range(10)
            ]
            (value, count), (baseline, counted) = (percentile("p95", side) for side in zip(*pairs, strict=True))
            reading = Reading(value, baseline, count, counted, slower(2.0, pairs))
            tally.add(datetime(2026, 11, 21, tzinfo=UTC), reading, look * 5)
        ended += tally.decided == "fail"
    return ended


def test_noise_sends_no_release_back_and_a_slow_release_goes_back() -> None:
    assert soaks(lambda ms: ms, 1000) == 0
    assert soaks(lambda ms: ms + 500, 100) == 100
    assert soaks(lambda ms: ms * 12, 100) >= 95
