"""The ends of a deploy: preflight refuses with the fact and the way on; the last phase asks the gateway."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes import Outcome
from plans import good, on_all, staging_hosts

from changeover import fleet
from changeover.live import Live, Releases
from operations import flow
from operations.confirm import HEALTHY, REACHED, answers, fits, gateway_checks
from operations.preflight import release_problems

Run = Callable[..., Outcome]
HELD = Live(release=Releases(live="1.0.0"), held={"1.1.0": "it lost rows"})


def test_a_held_release_is_refused_with_why_and_the_way_on() -> None:
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    assert release_problems(fleet.load(hosts), {"shop": HELD, "hello": Live(held={"1.1.0": "of another system"})}) == [
        "shop: 1.1.0 is held: it lost rows. Release another version, or allow it again on edge1: "
        "sudo changeover unhold shop 1.1.0"
    ]


@pytest.mark.parametrize(
    "asked, state",
    [(None, HELD), ("1.2.0", HELD), ("1.1.0", Live()), ("1.1.0", Live(release=Releases(live="1.0.0")))],
    ids=["nothing asked", "another one", "first installation", "not held"],
)
def test_a_release_that_is_not_held_goes_on(asked: str | None, state: Live) -> None:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    assert release_problems(fleet.load(hosts), {"shop": state}) == []


def test_preflight_fails_the_host_for_a_held_release(run: Run) -> None:
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    lines = release_problems(fleet.load(hosts), {"shop": HELD})
    done = run(flow.require, {}, problems=lines, fact="fit")
    assert done.failed and flow.FAILURES["@fake/one"] == lines


# --- the gateway's answers


def test_what_is_asked_of_the_rehearsals_gateway() -> None:
    plan = fleet.load(staging_hosts())
    assert gateway_checks(plan, "tasktracker") == {
        "https://tasks.staging.test:443/api/health": HEALTHY,
        "https://tasks.staging.test:443/dashboard/": HEALTHY,
    }
    assert gateway_checks(plan, "hello") == {"https://hello.staging.test:443/": HEALTHY}


def test_behind_the_maintenance_page_only_what_answers_there_is_asked() -> None:
    """A page of its own that asks for health (/dashboard/) answers 503 there, and is no reason to fail the deploy."""
    plan = fleet.load(staging_hosts())
    assert gateway_checks(plan, "tasktracker", paged=True) == {
        "https://tasks.staging.test:443/api/health": HEALTHY,
        "https://tasks.staging.test:443/nginx-health": HEALTHY,
    }
    assert gateway_checks(plan, "hello", paged=True) == {"https://hello.staging.test:443/nginx-health": HEALTHY}


def test_a_health_path_beside_the_route_is_no_reason_to_fail() -> None:
    hosts = good()
    on_all("shop.services.api.health.http", "/healthz")(hosts)
    on_all("shop.release", {"probe": [{"path": "/api/items"}]})(hosts)
    assert gateway_checks(fleet.load(hosts), "shop") == {"http://shop.test:80/api/": REACHED}


@pytest.mark.parametrize(
    "status, least, enough",
    [
        ("200", HEALTHY, True),
        ("404", HEALTHY, False),
        ("404", REACHED, True),
        ("307", REACHED, True),
        ("502", REACHED, False),
        ("503", REACHED, False),
        ("ConnectionRefusedError(111)", REACHED, False),
        (None, REACHED, False),
        (None, HEALTHY, False),
    ],
)
def test_which_answer_is_enough(status: str | None, least: str, enough: bool) -> None:
    assert fits(status, least) is enough


URL = "http://shop.test:80/api/health"


def test_a_gateway_that_answers_changes_nothing(run: Run) -> None:
    done = run(answers, {"python3 -c": [f"200 {URL}"]}, checks={URL: HEALTHY})
    assert not done.changed and not done.failed


@pytest.mark.parametrize("said, line", [([f"502 {URL}"], f"{URL}: 502"), ([], f"{URL}: no answer")])
def test_a_gateway_that_does_not_answer_fails_with_url_and_status(run: Run, said: list[str], line: str) -> None:
    done = run(answers, {"python3 -c": said}, checks={URL: HEALTHY})
    assert done.failed
    assert flow.FAILURES["@fake/one"][0] == line
