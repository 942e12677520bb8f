"""Smoke tests: what is sent through the gateway after a switch, and what its answers must be. Pure.

changeover/smoke_client.py sends them, operations/smoke.py has it run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, IPvAnyAddress

from changeover.plan import PLACEHOLDER
from changeover.settings_tests import Smoke
from changeover.words import seconds

SHOWN = 300  # characters of an answer in a message


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Event(_Part):
    """The message that must come: the WebSocket's path, what the message holds, seconds after the answer."""

    path: str
    holds: Any
    within: float


class Call(_Part):
    """One call with everything filled in; its time limit in seconds."""

    name: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    expect: int
    answer: dict[str, Any]
    text: str | None
    timeout: float
    event: Event | None


class Config(_Part):
    """All calls of a run, in order. `address` is connected to instead of the name's own."""

    base_url: str
    address: IPvAnyAddress | None = None
    ca: str | None = None
    calls: list[Call]

    @property
    def longest(self) -> float:
        """Seconds that all calls may take together."""
        return sum(one.timeout + (one.event.within if one.event else 0) for one in self.calls)


class Result(_Part):
    """What came of a call: what was seen, and what was wrong with it (None: nothing)."""

    name: str
    seen: str
    wrong: str | None = None


def call(smoke: Smoke, new_id: str, secret: Callable[[str], str]) -> Call:
    """A smoke test of the settings as it is sent. Arguments: the settings; the run's id; a secret's value by name.

    Only headers and body hold secrets: paths are logged, and what is wanted of an answer stands in messages.
    """

    def with_id(text: str) -> str:
        return text.replace("{id}", new_id)

    def with_secrets(text: str) -> str:
        return with_id(PLACEHOLDER.sub(lambda m: secret(m[2]) if m[1] == "secret" else m[0], text))

    event = smoke.event
    return Call(
        name=smoke.name,
        method=smoke.method,
        path=with_id(smoke.path),
        headers=filled(smoke.headers, with_secrets),
        body=filled(smoke.json_, with_secrets) or None,
        expect=smoke.expect,
        answer=filled(smoke.answer, with_id),
        text=filled(smoke.text, with_id),
        timeout=seconds(smoke.timeout),
        event=Event(path=event.path, holds=filled(event.json_, with_id) or new_id, within=seconds(event.within))
        if event
        else None,
    )


def filled(value: Any, fill: Callable[[str], str]) -> Any:
    """A value with all texts in it filled in, at any depth; keys stay as they are."""
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, dict):
        return {key: filled(one, fill) for key, one in value.items()}
    return [filled(one, fill) for one in value] if isinstance(value, list) else value


def holds(wanted: Any, found: Any) -> bool:
    """Whether `found` has all that is wanted: of a dict its keys, at any depth; of anything else the same value."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and holds(wanted[key], found[key]) for key in wanted)
    return type(wanted) is type(found) and bool(wanted == found)


def is_wanted(event: Event, message: str) -> bool:
    """Whether a message of the WebSocket is the one."""
    if isinstance(event.holds, str):
        return event.holds in message
    try:
        return holds(event.holds, json.loads(message))
    except ValueError:
        return False


def wrong(call: Call, status: int, body: str, has_text: bool) -> str | None:
    """What is wrong with an answer: what was wanted, what came; None when nothing is.

    Arguments: the call; the answer's status; the beginning of its body; whether the wanted text was in it.
    """
    here = f"{call.method} {call.path}"
    came = f"came: {status} {' '.join(body.split())[:SHOWN]}".strip()
    if status != call.expect:
        return f"{here}: wanted: {call.expect}; {came}"
    if call.answer:
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not holds(call.answer, found):
            return f"{here}: wanted: {json.dumps(call.answer)} in its JSON; {came}"
    if call.text is not None and not has_text:
        return f"{here}: wanted: {call.text!r} in its body; {came}"
    return None
