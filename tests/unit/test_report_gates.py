"""A gate on the report's page: what decided, what was wanted, and the looks that a person wants to see."""

from datetime import UTC, datetime, timedelta

import pytest

from changeover.record import Gate, GateSample
from changeover.report_gates import EDGE, MOST, POINTS, figure, gates, view

START = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)


def gate(values, limit=1.0, op="<", verdict="pass", **fields) -> Gate:
    looks = [
        GateSample(
            t=START + timedelta(seconds=10 * number),
            value=value,
            baseline=fields.get("baseline"),
            verdict="no_data" if value is None else "pass" if value < limit else "fail",
        )
        for number, value in enumerate(values)
    ]
    return Gate(
        name="g", verdict=verdict, op=op, limit=limit, value=values[-1] if values else None, unit="%", samples=looks
    )


@pytest.mark.parametrize(
    "value, text",
    [(None, "–"), (0.0, "0 %"), (0.0204, "0.0204 %"), (5.1, "5.1 %"), (41.0, "41 %"), (1204.4, "1,204 %")],
)
def test_numbers_as_a_person_reads_them(value, text):
    assert figure(value, "%") == text


def test_what_decided_and_what_was_wanted():
    found = view(gate([0.5, None, 5.1], verdict="fail"))
    assert (found.measured, found.wanted, found.counted) == ("5.1 %", "< 1 %", "1 passed, 1 failed, 1 no data")
    assert found.description == "3 looks, from 0.5 % to 5.1 %, limit 1 %"


def test_those_that_did_not_pass_come_first():
    assert [one.gate.verdict for one in gates([gate([1.0]), gate([2.0], verdict="fail")])] == ["fail", "pass"]


def test_a_gate_that_never_looked_is_still_shown():
    found = view(Gate(name="g", verdict="no_data"))
    assert (found.measured, found.wanted, found.counted, found.paths, found.looks) == (
        "–",
        "",
        "never looked at",
        {},
        [],
    )
    assert view(gate([None, None])).paths == {}


def test_the_drawing_breaks_where_there_was_no_data_and_has_its_limit():
    found = view(gate([0.0, 2.0, None, 1.0]))
    assert found.paths == {"value": "M0 100h.1L333.3 9.1M1000 54.5h.1", "limit": "M0 54.5h.1L1000 54.5"}
    assert set(view(gate([0.0, 2.0], baseline=1.0)).paths) == {"value", "baseline", "limit"}


@pytest.mark.parametrize("op, worst", [("<", 9.0), (">=", -9.0)])
def test_a_long_drawing_is_short_and_loses_no_bad_look(op: str, worst: float):
    values = [0.0] * 8640
    values[4321] = worst
    path = view(gate(values, op=op)).paths["value"]
    assert path.count("L") < POINTS
    heights = {part.split(" ")[1].removesuffix("h.1") for part in path.replace("M", "L").split("L")[1:]}
    assert len(heights) == 2


def test_many_looks_are_told_by_their_ends_and_by_what_was_wrong():
    values: list[float | None] = [0.0] * 1000
    values[500] = 7.0
    rows = view(gate(values)).looks
    assert [row.left_out for row in rows if row.left_out] == [500 - EDGE, 1000 - 501 - EDGE]
    assert [row.value for row in rows if row.verdict == "fail"] == ["7 %"]
    assert len(view(gate([5.0] * 5000)).looks) <= MOST + 3
    assert len(view(gate([0.0] * 12)).looks) == 12
