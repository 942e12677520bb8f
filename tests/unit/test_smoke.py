"""Smoke tests: what is sent, what is right, what a person reads, and that no secret is in it."""

from __future__ import annotations

from typing import Any

import pytest
from plans import good, on_all, staging_hosts

from changeover import fleet
from changeover.problems import SettingsError
from changeover.settings import Smoke
from changeover.smoke import Call, Event, call, holds, is_wanted, wrong
from operations import smoke

CANARY = "s3cr3t-canary-4711"
WRITE = {
    "name": "a write",
    "method": "POST",
    "path": "/api/things",
    "headers": {"Authorization": "Bearer {secret.TOKEN}"},
    "json": {"external_id": "{id}", "tags": ["x-{id}"], "password": "{secret.TOKEN}"},
    "expect": 201,
    "answer": {"data": {"external_id": "{id}"}},
}


def made(**changes: Any) -> Call:
    return call(Smoke.model_validate({"name": "a", "path": "/api", **changes}), "new-1", lambda name: f"<{name}>")


# --- what is sent


def test_ids_and_secrets_are_filled_in_everywhere() -> None:
    event = {"path": "/ws?topics=a", "json": {"data": {"external_id": "{id}"}}, "within": "3s"}
    one = made(**{**WRITE, "path": "/api/things/{id}", "text": "of {id}", "event": event})
    assert (one.method, one.path, one.headers) == ("POST", "/api/things/new-1", {"Authorization": "Bearer <TOKEN>"})
    assert one.body == {"external_id": "new-1", "tags": ["x-new-1"], "password": "<TOKEN>"}
    assert (one.answer, one.text) == ({"data": {"external_id": "new-1"}}, "of new-1")
    assert one.event == Event(path="/ws?topics=a", holds={"data": {"external_id": "new-1"}}, within=3)


def test_secrets_are_only_filled_in_where_they_are_masked_and_looked_for() -> None:
    """Without a look for it first, a secret that is missing would end the run after the switch."""
    word = "{secret.TOKEN}"
    one = made(text=word, answer={"a": [word]}, method="POST", event={"path": "/ws", "json": {"a": word}})
    assert one.event and (one.text, one.answer, one.event.holds) == (word, {"a": [word]}, {"a": word})
    hosts = good()
    on_all("shop.services.api.routes", {"/api": {}, "/ws": {"websocket": True}})(hosts)
    event = {"path": "/ws", "json": {"a": word}}
    on_all("shop.release", {"smoke": [{**WRITE, "event": event}]})(hosts)
    with pytest.raises(SettingsError, match=r"smoke\.0\.event\.json: \{secret\.TOKEN\} is not for here"):
        fleet.load(hosts)


def test_a_get_has_no_body_and_an_event_is_known_by_the_id() -> None:
    assert made().body is None
    one = made(method="POST", json={"a": "{id}"}, event={"path": "/ws"})
    assert one.event and one.event.holds == "new-1"


def test_what_the_sample_is_asked_after_a_switch() -> None:
    plan = fleet.load(staging_hosts())
    found = smoke.config(plan, "tasktracker", "smoke-1", lambda name: f"<{name}>")
    assert found and (found.base_url, str(found.address)) == ("https://tasks.staging.test:8443", "127.0.0.1")
    assert [one.name for one in found.calls] == ["an authenticated call", "a write, and its event", "an export"]
    assert found.calls[0].headers == {"Authorization": "Bearer <ADMIN_TOKEN>"} and found.calls[2].text == "smoke-1"
    assert ("tasktracker", "ADMIN_TOKEN") in plan.secrets_wanted()


def test_its_secrets_are_looked_for_before_anything_is_touched() -> None:
    hosts = good()
    on_all("shop.release", {"smoke": [{**WRITE, "json": {"a": "{secret.OTHER}"}}]})(hosts)
    on_all("shop.services.api.test", {"run": ["true"], "secrets": ["THIRD"]})(hosts)
    wanted = {name for system, name in fleet.load(hosts).secrets_wanted() if system == "shop"}
    assert {"TOKEN", "OTHER", "THIRD"} <= wanted


# --- what is right


@pytest.mark.parametrize(
    "wanted, found, right",
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": {"b": "x"}}, {"a": {"b": "x", "c": 1}}, True),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": None}, {}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": 1}, [1], False),
        ({}, None, False),
    ],
)
def test_what_holds_what(wanted: Any, found: Any, right: bool) -> None:
    assert holds(wanted, found) is right


@pytest.mark.parametrize(
    "changes, status, body, has_text, says",
    [
        ({}, 200, "", False, None),
        ({}, 500, "Traceback\n  in x", False, "GET /api: wanted: 200; came: 500 Traceback in x"),
        ({"expect": 201}, 200, "ok", False, "GET /api: wanted: 201; came: 200 ok"),
        ({"answer": {"a": 1}}, 200, '{"a": 1}', False, None),
        ({"answer": {"a": 1}}, 200, '{"a": 2}', False, 'GET /api: wanted: {"a": 1} in its JSON; came: 200 {"a": 2}'),
        ({"answer": {"a": 1}}, 200, "<html>", False, 'GET /api: wanted: {"a": 1} in its JSON; came: 200 <html>'),
        ({"text": "of {id}"}, 200, "x", True, None),
        ({"text": "of {id}"}, 200, "x", False, "GET /api: wanted: 'of new-1' in its body; came: 200 x"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], status: int, body: str, has_text: bool, says: str | None) -> None:
    assert wrong(made(**changes), status, body, has_text) == says


def test_which_message_is_the_one() -> None:
    assert is_wanted(Event(path="/", holds="new-1", within=1), "made new-1")
    assert not is_wanted(Event(path="/", holds="new-1", within=1), "made new-2")
    assert is_wanted(Event(path="/", holds={"a": {"b": 1}}, within=1), '{"a": {"b": 1}, "c": 2}')
    assert not is_wanted(Event(path="/", holds={"a": {"b": 1}}, within=1), "ping")
