"""Smoke tests as the real process sends them to a real server, and what a release makes of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all
from small_server import Small, serving
from test_smoke import CANARY, WRITE

from changeover import fleet
from changeover.plan import Plan
from changeover.secrets import Mask, Secrets
from operations import flow, release, smoke, watch
from operations import run as this_run
from operations.release import Quiet

# --- sent by the real process to a real server


@pytest.fixture
def server() -> Iterator[Small]:
    with serving() as small:
        yield small


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(watch, "OPEN", {})
    monkeypatch.setattr(watch, "PROBERS", {})
    monkeypatch.setattr(flow, "CHECKS", [])
    monkeypatch.setattr(this_run, "_mask", Mask([CANARY]))
    monkeypatch.setattr(this_run, "_secrets", Secrets(tmp_path / "none", dict.fromkeys(NAMES, CANARY)))
    flow.FAILURES.clear()


NAMES = ("TOKEN", "SHOP_DB_PASSWORD", "POSTGRES_PASSWORD")


@pytest.fixture
def planned(server: Small) -> Callable[..., Plan]:
    """planned(*smoke tests): a plan whose gateway is the server."""

    def plan(*tests: dict[str, Any], **changes: Any) -> Plan:
        hosts: Hosts = good()
        on_all("fleet.gateway", {"reach": f"127.0.0.1:{server.port}"})(hosts)
        on_all("shop.services.api.routes", {"/api": {}, "/ws": {"websocket": True}})(hosts)
        on_all("shop.release", {"smoke": list(tests), **changes})(hosts)
        return fleet.load(hosts)

    return plan


def written(got: Any) -> tuple[int, str]:
    """An app that writes what it is sent."""
    if got.line.startswith("GET"):
        return 200, "x" * 70_000 + sent_id[-1] + "y" * 70_000
    sent_id.append(json.loads(got.body)["external_id"])
    return 201, json.dumps({"data": {"external_id": sent_id[-1]}})


sent_id: list[str] = []
EXPORT = {"name": "an export", "path": "/api/export", "text": "{id}"}
HEARD = {"path": "/ws?topics=a", "json": {"made": "{id}"}, "within": "2s"}


def test_calls_that_pass_are_in_the_record_by_name(server: Small, planned: Callable[..., Plan]) -> None:
    server.answer, server.event = written, lambda got: json.dumps({"made": sent_id[-1]})
    plan = planned({**WRITE, "event": HEARD}, EXPORT)
    assert smoke.tests(plan, "shop", None) == []
    post, export = server.got
    assert post.line == "POST /api/things HTTP/1.1" and post.headers["authorization"] == f"Bearer {CANARY}"
    assert post.headers["host"].startswith("shop.test") and export.line == "GET /api/export HTTP/1.1"
    assert [(one.item, one.verdict) for one in flow.CHECKS] == [
        ("shop: smoke test: a write", "pass"),
        ("shop: smoke test: an export", "pass"),
    ]
    assert "201 in " in flow.CHECKS[0].evidence and "its event after" in flow.CHECKS[0].evidence
    assert smoke.passed("shop") == "smoke tests: 2 passed (a write; an export)"


def test_the_first_that_fails_is_the_reason_and_the_last_that_is_sent(
    server: Small, planned: Callable[..., Plan]
) -> None:
    server.answer = lambda got: (500, "out of rows")
    reasons = smoke.tests(planned(WRITE, EXPORT), "shop", None)
    assert reasons == ["smoke test 'a write' failed", "POST /api/things: wanted: 201; came: 500 out of rows"]
    assert len(server.got) == 1 and [one.verdict for one in flow.CHECKS] == ["fail"]


def test_an_event_that_does_not_come_is_a_reason(server: Small, planned: Callable[..., Plan]) -> None:
    server.answer, server.event = written, lambda got: '{"made": "something else"}'
    name, reason = smoke.tests(planned({**WRITE, "event": {**HEARD, "within": "500ms"}}), "shop", None)
    assert name == "smoke test 'a write' failed"
    assert reason.startswith("WebSocket /ws?topics=a: wanted: {'made': 'smoke-")
    assert reason.endswith("within 0.5 s; came: 1 other messages")


def test_an_event_that_came_before_its_call_does_not_count(server: Small, planned: Callable[..., Plan]) -> None:
    """Another run's event, of another id, is none; and a message is only looked for where the id is."""
    server.answer, server.event = written, lambda got: "smoke-0000"
    test = {**WRITE, "event": {"path": "/ws", "within": "500ms"}}
    assert "came: 1 other messages" in smoke.tests(planned(test), "shop", None)[1]


def test_what_the_server_gives_away_is_masked(server: Small, planned: Callable[..., Plan]) -> None:
    server.answer = lambda got: (403, f"{got.headers['authorization']} is not welcome: {got.body}")
    _, reason = smoke.tests(planned(WRITE), "shop", None)
    assert "came: 403 Bearer *MASKED* is not welcome" in reason
    assert CANARY not in reason + flow.CHECKS[0].model_dump_json()


def test_a_server_that_does_not_answer_is_a_reason(server: Small, planned: Callable[..., Plan]) -> None:
    server.answer = lambda got: (time.sleep(3), (200, ""))[1]  # type: ignore[func-returns-value]
    _, reason = smoke.tests(planned({"name": "a", "path": "/api", "timeout": "500ms"}), "shop", None)
    assert reason == "GET /api: wanted: 200; came: no whole answer within 0.5 s"


def test_a_gateway_that_is_away_is_a_reason(server: Small, planned: Callable[..., Plan]) -> None:
    plan = planned({"name": "a", "path": "/api"}, {"name": "b", "path": "/api"})
    with serving() as other:
        port = other.port
    gateway = plan.fleet.gateway.model_copy(update={"reach": f"127.0.0.1:{port}"})
    away = replace(plan, fleet=plan.fleet.model_copy(update={"gateway": gateway}))
    name, reason = smoke.tests(away, "shop", None)
    assert name == "smoke test 'a' failed"
    assert reason.startswith("GET /api: wanted: 200; came: ConnectError")


def test_a_process_that_cannot_run_is_a_reason(
    server: Small, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke.sys, "executable", "/bin/false")
    assert smoke.tests(planned({"name": "a", "path": "/api"}), "shop", None) == [
        "smoke test 'a' could not be sent",
        "exit code 1",
    ]


# --- the lease and the prober, meanwhile


def slow(server: Small) -> None:
    server.answer = lambda got: (time.sleep(1.5), (200, ""))[1]  # type: ignore[func-returns-value]


def test_the_lease_is_renewed_meanwhile(
    server: Small, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(server)
    monkeypatch.setattr(smoke, "seconds", lambda text: 1.2)
    renewed: list[float] = []
    plan = planned({"name": "a", "path": "/api"}, lease="10s")
    assert smoke.tests(plan, "shop", lambda: (bool(renewed.append(1.0)) or True, [])) == []
    assert len(renewed) >= 3


def test_that_somebody_is_at_work_on_the_host_ends_nothing(
    server: Small, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow(server)
    monkeypatch.setattr(watch, "EVERY", 0.3)
    busy = iter([(False, ['{"code": 3, "error": "shop is busy", "next": "wait"}'])] * 2)
    assert smoke.tests(planned({"name": "a", "path": "/api"}), "shop", lambda: next(busy, (True, []))) == []
    assert next(busy, None) is None, "it was asked again"


@pytest.mark.parametrize(
    "why, renew",
    [("lease", (False, ['{"code": 4, "error": "it is over", "next": "look"}'])), ("prober", (True, []))],
    ids=["no lease", "failed probes"],
)
def test_a_lost_lease_or_a_failed_probe_ends_them_at_once(
    server: Small, planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch, why: str, renew: Any
) -> None:
    slow(server)
    if why == "prober":
        monkeypatch.setattr(watch, "judge", lambda system, most: ["2 of 9 probes failed (limit 0)"])
    began = time.monotonic()
    reasons = smoke.tests(planned({"name": "a", "path": "/api"}), "shop", lambda: renew)
    assert time.monotonic() - began < 1.2
    assert reasons == [
        "2 of 9 probes failed (limit 0)" if why == "prober" else "the lease could not be renewed: it is over next: look"
    ]


# --- the step


def smoked(run: Callable[..., Outcome], leased: bool, responses: dict[str, Any] | None = None) -> Outcome:
    watch.OPEN["shop"] = watch.BY_LEASE
    words: dict[str, Any] = dict(plan=Quiet(None), system="shop", txn="T1", leased=leased)
    return run(release.smoked, responses or {}, **words)


def test_a_release_that_passes_is_left_where_it_is(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "tests", lambda plan, system, renew: [] if renew()[0] else ["?"])
    done = smoked(run, leased=True)
    assert not done.failed
    assert [c.text for c in done.commands] == ["/usr/local/bin/changeover renew shop --txn T1 --json"]


def test_a_release_that_fails_goes_back_at_once(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "tests", lambda *_: ["smoke test 'a' failed: it's 500"])
    done = smoked(run, leased=True, responses={"changeover rollback": ["shop is back on 1.0.0"]})
    assert done.failed and watch.OPEN == {"shop": watch.WENT_BACK}
    assert "rollback shop --why" in done.commands[0].text
    assert flow.FAILURES["@fake/one"] == ["smoke test 'a' failed: it's 500", "shop is back on 1.0.0"]


def test_what_the_gateway_answered_is_not_kept_on_the_hosts(
    server: Small, planned: Callable[..., Plan], run: Callable[..., Outcome]
) -> None:
    """`why` lands in state.json and the audit of every host, which anybody on it may read."""
    server.answer = lambda got: (500, '{"rows": ["Ada Lovelace, 12 Some Street"]}')
    watch.OPEN["shop"] = watch.BY_LEASE
    responses = {"changeover rollback": ["shop is back on 1.0.0"]}
    done = run(release.smoked, responses, plan=Quiet(planned(WRITE)), system="shop", txn="T1", leased=True)
    (back,) = [c.text for c in done.commands if " rollback " in c.text]
    assert "smoke test" in back and "a write" in back and "Lovelace" not in back and "came:" not in back
    assert any("Lovelace" in line for line in flow.FAILURES["@fake/one"]), "the report, which is private, has it"


def test_a_first_installation_that_fails_has_no_way_back_and_says_so(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(smoke, "tests", lambda plan, system, renew: seen.append(renew) or ["smoke test 'a' failed"])
    done = smoked(run, leased=False)
    assert done.failed and done.commands == [] and seen == [None]
    reason, way = flow.FAILURES["@fake/one"]
    assert reason == "smoke test 'a' failed" and way.startswith("nothing was undone: there is no release before it")
