"""Whose release a run asks for."""

from changeover import fleet
from tests.unit.plans import good, on_all


def test_a_release_is_for_the_first_system_unless_one_is_named() -> None:
    hosts = good()
    on_all("release", "9.9")(hosts)
    plan = fleet.load(hosts)
    assert (plan.asked_release("shop"), plan.asked_release("hello")) == ("9.9", None)
    on_all("system", "hello")(hosts)
    plan = fleet.load(hosts)
    assert (plan.asked_release("shop"), plan.asked_release("hello")) == (None, "9.9")
