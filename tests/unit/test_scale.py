"""A hundred hosts cost a hundred times what one does: the work for each does not grow with their number."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from bench import rows, scale
from changeover import fleet

FEW, SOME, MANY = 20, 60, 120


def calls(work: Callable[[], Any]) -> int:
    """How many functions were called: unlike seconds, the same each time."""
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def growth(work: Callable[[int], Callable[[], Any]]) -> float:
    """What one more host costs among many, beside what it costs among few; what is done once for all does not count."""
    work(FEW)()  # caches
    few, some, many = (calls(work(size)) for size in (FEW, SOME, MANY))
    return ((many - some) / (MANY - SOME)) / ((some - few) / (SOME - FEW))


def test_settings_are_loaded_and_checked_in_time_by_the_host() -> None:
    def work(count: int) -> Callable[[], Any]:
        hosts = scale.data(count)
        return lambda: fleet.load(hosts)

    assert growth(work) <= rows.GROWTH


def test_what_each_host_gets_is_decided_in_time_by_the_host() -> None:
    def work(count: int) -> Callable[[], Any]:
        hosts = scale.data(count)
        return lambda: scale.decided(fleet.load(hosts))

    assert growth(work) <= rows.GROWTH


def test_the_fleet_is_what_it_says() -> None:
    plan = fleet.load(scale.data(100))
    assert len(plan.hosts) == 100 and len(plan.gateways("tasktracker")) == 2
    assert len(plan.hosts_of("tasktracker", "api")) == 97 and len(plan.hosts_of("tasktracker", "scheduler")) == 1


@pytest.mark.parametrize("seconds, good", [(11.0, True), (13.0, False)])
def test_the_row_of_the_page_tells_growth(seconds: float, good: bool) -> None:
    parts = {"load": 0.1, "decide": 0.2, "dry": 1.0}
    many = {"load": 1.0, "decide": 2.0, "dry": seconds}
    row = rows.of_scale({"seconds": {"100": many, "50": parts, "10": parts}})[-1]
    assert row.good is good and row.measured == f"{seconds * 10:.2f} ms a host of 100, 100.00 ms of 10"
