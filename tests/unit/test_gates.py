"""A gate's judgement: each look, all looks together, and the edges at which a verdict would be wrong."""

from __future__ import annotations

import itertools
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from changeover import record
from changeover.gates import Reading, Tally, announced, at_most, judge, limit, number, worst
from changeover.settings import Gate
from changeover.settings_gates import ANY, DEFAULTS

T0 = datetime(2026, 11, 21, 14, 21, 2, tzinfo=UTC)
FULL = 60.0  # seconds after the switch: the window is full


def gate(source: dict[str, Any] | None = None, **values: Any) -> Gate:
    given = {"name": "p95", "source": source or {"probe": "p95"}, "value": 200, **values}
    return Gate.model_validate({key: value for key, value in given.items() if value is not None})


OLD = {"ratio": 1.5}
CMD = {"source": {"cmd": ["x"]}}
ENOUGH = {"count": 20, "counted": 20}


@pytest.mark.parametrize(
    "values, reading, says",
    [
        ({}, {"value": 199.9, **ENOUGH}, "pass"),
        ({}, {"value": 200.0, **ENOUGH}, "fail"),
        ({"op": "<="}, {"value": 200.0, **ENOUGH}, "pass"),
        ({"op": "<="}, {"value": math.nextafter(200, 300), **ENOUGH}, "fail"),
        ({"op": ">"}, {"value": 200.0, **ENOUGH}, "fail"),
        ({"op": ">"}, {"value": 200.1, **ENOUGH}, "pass"),
        ({"op": ">="}, {"value": 200.0, **ENOUGH}, "pass"),
        ({"op": "==", "value": 0.0}, {"value": 0.0, **ENOUGH}, "pass"),
        ({"op": "==", "value": 0.0}, {"value": 0.1, **ENOUGH}, "fail"),
        ({"op": "!=", "value": 0.0}, {"value": 0.1, **ENOUGH}, "pass"),
        # too few, by one
        ({}, {"value": 900.0, "count": 19}, "inconclusive"),
        ({}, {"value": 1.0, "count": 19}, "inconclusive"),
        ({}, {"value": 900.0, "count": 20}, "fail"),
        ({"min_samples": 1}, {"value": 900.0, "count": 1}, "fail"),
        ({"source": {"cmd": ["x"]}}, {"value": 900.0}, "fail"),  # one number a look, nothing to count
        # nothing, and what is no number
        ({}, {}, "no_data"),
        ({}, {"count": 0}, "no_data"),
        ({}, {"value": math.nan, **ENOUGH}, "no_data"),
        ({}, {"value": math.inf, **ENOUGH}, "error"),
        ({}, {"value": -math.inf, **ENOUGH}, "error"),
        ({}, {"error": "refused"}, "error"),
        ({}, {"error": "refused", "value": 1.0, **ENOUGH}, "error"),
        # the old slot at the same time: the more lenient of the two
        ({"baseline": OLD}, {"value": 300.0, "baseline": 39.0, **ENOUGH}, "fail"),
        ({"baseline": OLD}, {"value": 199.0, "baseline": 39.0, **ENOUGH}, "pass"),
        ({"baseline": OLD}, {"value": 899.9, "baseline": 600.0, **ENOUGH}, "pass"),
        ({"baseline": OLD}, {"value": 900.1, "baseline": 600.0, **ENOUGH}, "fail"),
        # it would fail, and the old slot may be as bad: nobody knows
        ({"baseline": OLD}, {"value": 900.0, "count": 20}, "inconclusive"),
        ({"baseline": OLD}, {"value": 900.0, "baseline": 600.0, "count": 20, "counted": 19}, "inconclusive"),
        ({"baseline": OLD}, {"value": 900.0, "baseline": math.nan, **ENOUGH}, "inconclusive"),
        ({"baseline": OLD}, {"value": 199.0, "count": 20}, "pass"),  # good enough whatever the old one does
        # the baseline alone
        ({"baseline": OLD, "value": None}, {"value": 58.0, "baseline": 39.0, **ENOUGH}, "pass"),
        ({"baseline": OLD, "value": None}, {"value": 59.0, "baseline": 39.0, **ENOUGH}, "fail"),
        ({"baseline": OLD, "value": None}, {"value": 1.0, "count": 20}, "inconclusive"),
        ({"baseline": OLD, "value": None}, {"value": 0.0, "baseline": 0.0, **ENOUGH}, "pass"),  # no errors beside none
        # both slots were timed side by side: what counts is whether the new one is clearly slower
        ({"baseline": OLD}, {"value": 900.0, "baseline": 600.0, "slower": False, **ENOUGH}, "pass"),
        ({"baseline": OLD}, {"value": 950.0, "baseline": 600.0, "slower": False, **ENOUGH}, "pass"),
        ({"baseline": OLD}, {"value": 850.0, "baseline": 600.0, "slower": True, **ENOUGH}, "fail"),
        ({"baseline": OLD}, {"value": 199.0, "baseline": 9.0, "slower": True, **ENOUGH}, "pass"),  # quick enough
        ({"baseline": OLD, "value": None}, {"value": 199.0, "baseline": 9.0, "slower": True, **ENOUGH}, "fail"),
        (
            {"baseline": OLD},
            {"value": 900.0, "baseline": 9.0, "slower": True, "count": 20, "counted": 19},
            "inconclusive",
        ),
        (
            {"baseline": OLD},
            {"value": 900.0, "baseline": 9.0, "slower": True, "count": 19, "counted": 20},
            "inconclusive",
        ),
        # more is better
        ({**CMD, "op": ">", "baseline": {"ratio": 0.5}}, {"value": 60.0, "baseline": 100.0, **ENOUGH}, "pass"),
        ({**CMD, "op": ">", "baseline": {"ratio": 0.5}}, {"value": 49.9, "baseline": 100.0, **ENOUGH}, "fail"),
    ],
)
def test_one_look(values: dict[str, Any], reading: dict[str, Any], says: str) -> None:
    assert judge(gate(**values), Reading(**reading))[0] == says


def test_the_limit_is_the_more_lenient_one() -> None:
    assert limit(gate(baseline=OLD), 39) == 200 and limit(gate(baseline=OLD), 600) == 900
    assert limit(gate(baseline=OLD), None) == 200 and limit(gate(value=None, baseline=OLD), None) is None
    assert limit(gate(**CMD, op=">", baseline={"ratio": 0.5}), 100) == 50


def test_of_several_numbers_the_worst_counts() -> None:
    more, same, other = gate(op=">="), gate(op="==", value=1), gate(op="!=", value=1)
    assert (worst(gate(), [1, 3, 2]), worst(more, [1, 3, 2]), worst(gate(), [])) == (3, 1, None)
    assert (worst(same, [1, 0, 1]), worst(same, [1, 2]), worst(same, [1, 1])) == (0, 2, 1)
    assert (worst(other, [0, 1]), worst(other, [0, 2])) == (1, 0)


READINGS = {
    "p": Reading(10, count=99),
    "f": Reading(900, count=99),
    "e": Reading(error="refused"),
    "n": Reading(),
    "i": Reading(10, count=1),
}
KINDS = {"f": "fail", "e": "error", "n": "no_data", "i": "inconclusive"}


def tally(looks: str, since: float = FULL, **values: Any) -> Tally:
    found = Tally(gate(**values))
    for number_, one in enumerate(looks):
        found.add(T0 + timedelta(seconds=5 * number_), READINGS[one], since)
    return found


def decided(looks: str, limits: dict[str, int], consecutive: bool) -> str | None:
    """The same by the words of the settings: the first look at which a kind's limit is exceeded since the last pass."""
    for end in range(1, len(looks) + 1):
        seen = looks[:end].rpartition("p")[2] if consecutive else looks[:end]
        over = [kind for kind in limits if seen.count(kind) > limits[kind]]
        if over:
            return KINDS[looks[end - 1]]
    return None


@pytest.mark.parametrize("consecutive", [True, False])
@pytest.mark.parametrize("most", [{"f": 2, "e": 4, "n": 0, "i": 0}, {"f": 0, "e": 1, "n": 2, "i": 1}])
def test_every_sequence_of_looks_is_judged_by_its_limits(most: dict[str, int], consecutive: bool) -> None:
    """All 19,530 sequences of up to six looks, against the words of the settings."""
    values = dict(fail_limit=most["f"], error_limit=most["e"], nodata_limit=most["n"], inconclusive_limit=most["i"])
    for length in range(1, 7):
        for looks in map("".join, itertools.product("pfeni", repeat=length)):
            found = tally(looks, consecutive=consecutive, **values).decided
            assert found == decided(looks, most, consecutive), looks


def test_a_decision_stays() -> None:
    assert tally("fffppp").decided == "fail"
    assert tally("fffppp").verdict == "fail"
    assert tally("ffpffp").decided is None and tally("ffpffp").verdict == "pass"
    assert tally("ffpf", consecutive=False).decided == "fail"


def test_any_number_is_any_number() -> None:
    assert tally("n" * 1500, nodata_limit=ANY).decided is None
    assert tally("n" * (ANY + 1), nodata_limit=ANY - 1).decided == "no_data"


def test_too_little_data_is_no_news_while_the_window_fills() -> None:
    assert tally("nnii", since=29.9).decided is None
    assert tally("n", since=30.0).decided == "no_data" and tally("i", since=30.0).decided == "inconclusive"
    assert tally("fff", since=1.0).decided == "fail", "enough that failed is news at once"
    assert tally("eeeee", since=1.0).decided == "error"


def test_in_the_end_a_gate_that_never_passed_is_no_pass() -> None:
    assert tally("nn", since=1.0).end() == "no_data" and tally("ii", since=1.0).end() == "inconclusive"
    assert tally("nn", since=1.0, nodata_limit=2).end() is None
    assert tally("nnp", since=1.0).end() is None and tally("nnp", since=1.0).verdict == "pass"
    assert tally("").end() == "no_data" and tally("").verdict == "no_data"
    assert tally("ee").end() is None, "two of four errors"
    lenient = dict(error_limit=ANY, nodata_limit=ANY, inconclusive_limit=ANY)
    assert tally("", **lenient).end() is None and tally("enni", since=1.0, **lenient).end() is None
    assert tally("enni", since=1.0, **lenient).verdict == "inconclusive", "it is said, though it decides nothing"


def test_what_failed_last_is_looked_at_once_more() -> None:
    assert tally("pf").failing and tally("pff").failing
    assert not tally("pffp").failing and not tally("pfff").failing, "it passed, or it is decided"
    assert tally("pfe").failing and not tally("pffpe").failing, "an error in between is no pass"
    assert not tally("").failing


def test_the_words_of_a_verdict() -> None:
    assert tally("pfff").why() == "900 ms (limit 200 ms) in 3 looks of 5s; first at 14:21:07"
    assert tally("ppp").why() == "10 ms (limit 200 ms); 3 of 3 looks passed"
    assert tally("ppf").why() == "10 ms (limit 200 ms); 2 of 3 looks passed"
    assert tally("eeeee").why() == "an error in 5 looks of 5s; first at 14:21:02"
    assert tally("n").why() == "no data in 1 look of 5s; first at 14:21:02"
    assert tally("i").why() == "inconclusive: 10 ms, by 1 requests (limit 200 ms) in 1 look of 5s; first at 14:21:02"
    assert tally("").why() == "it was never looked at"
    assert tally("ee").error() == "refused" and tally("p").error() == ""


def test_the_words_of_a_verdict_with_a_baseline() -> None:
    found = Tally(gate(baseline=OLD, fail_limit=0))
    found.add(T0, Reading(412.4, 39.04, 60, 58), FULL)
    assert found.why() == "412 ms (limit 200 ms; old slot 39 ms) in 1 look of 5s; first at 14:21:02"
    found = Tally(gate(baseline=OLD))
    found.add(T0, Reading(412.4, None, 60, 3), FULL)
    assert "412 ms, by 60 requests and 3 of the old slot (limit 200 ms; old slot unknown)" in found.why()


@pytest.mark.parametrize(
    "value, text",
    [(5.128, "5.13 ms"), (0.05, "0.05 ms"), (99.6, "99.6 ms"), (536870912, "536,870,912 ms"), (None, "unknown")],
)
def test_figures_are_rounded_for_people(value: float | None, text: str) -> None:
    assert number(gate(), value) == text


def test_what_a_verdict_takes_at_most_is_what_it_takes_at_most() -> None:
    """Second by second: an answer turns bad at any moment between two looks, and is gone back for in time."""
    for fail_limit, every, window in itertools.product((0, 2), (5, 10), (10, 30)):
        one = gate(every=f"{every}s", window=f"{window}s", fail_limit=fail_limit)
        for bad in range(every):  # seconds after the look at 100 * every
            found, now = Tally(one), 100 * every
            while not found.decided:
                now += every
                full = now - (100 * every + bad) >= window  # p95 of a window that is not full of it may still pass
                found.add(T0, READINGS["f" if full else "p"], FULL)
            assert now - (100 * every + bad) <= at_most(one) - 4 - 7, "without time limit and the watch's own pace"
    assert at_most(gate({"cmd": ["x"]}, window="1h")) == 5 * 3 + 4 + 7, "a window delays only what looks back on it"


def test_a_gate_is_announced_with_its_time() -> None:
    said = "what is bad goes back after 56 s at most"
    assert announced(gate(baseline=OLD)) == f"p95 < 200 ms or 1.5 x the old slot's (probe, every 5s); {said}"
    assert announced(gate({"sql": "x"}, op=">=", value=7.0)).startswith("p95 >= 7 (sql, every 5s); ")


def test_what_is_recorded() -> None:
    found = Tally(gate(baseline=OLD, fail_limit=0))
    found.add(T0, Reading(math.inf, 39.0, 60, 60), FULL)
    found.add(T0, Reading(412.4, 39.0, 60, 60), FULL)
    made = found.record("shop")
    assert made.model_dump(exclude={"samples"}) == {
        "system": "shop", "name": "p95", "verdict": "fail", "op": "<", "value": 412.4, "limit": 200.0, "unit": "ms",
        "at_most": 46.0, "why": "412 ms (limit 200 ms; old slot 39 ms) in 1 look of 5s; first at 14:21:02",
    }  # fmt: skip
    assert [(one.value, one.baseline, one.verdict) for one in made.samples] == [
        (None, 39.0, "error"), (412.4, 39.0, "fail"),
    ]  # fmt: skip
    assert json.loads(made.model_dump_json())["samples"][0]["t"] == "2026-11-21T14:21:02Z"
    never = Tally(gate()).record("shop")
    assert (never.verdict, never.value, never.limit, never.samples) == ("no_data", None, 200, [])


def test_a_long_soak_keeps_what_matters() -> None:
    found = tally("p" * 3000 + "f" + "p" * 3000)
    assert len(found.looks) < 900 and found.looks[-1].verdict == "pass"
    assert [look.verdict for look in found.looks].count("fail") == 1
    assert found.why().endswith("6000 of 6001 looks passed")
    assert isinstance(found.record("shop"), record.Gate)


def test_the_defaults_never_decide_by_what_they_cannot_measure() -> None:
    assert [one.name for one in DEFAULTS] == ["no_5xx", "p95"]
    for one in DEFAULTS:
        for reading in (READINGS["e"], READINGS["n"], READINGS["i"]):
            found = Tally(one)
            for _ in range(ANY + 1):
                assert found.add(T0, reading, FULL) is None
            assert found.end() is None
