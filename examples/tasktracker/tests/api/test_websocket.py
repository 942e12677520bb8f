"""The WebSocket: what is written through one slot is heard on the other."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def address(base_url: str, topics: str) -> str:
    """The WebSocket's address."""
    return f"{base_url.replace('http', 'ws', 1)}/ws?topics={topics}"


def wait_for(socket: ClientConnection, event: str, **data: Any) -> dict[str, Any]:
    """The next event of that name whose data holds all of `data`, within 10 s."""
    limit = time.monotonic() + 10
    while (left := limit - time.monotonic()) > 0:
        heard = json.loads(socket.recv(timeout=left))
        if heard["event"] == event and data.items() <= heard["data"].items():
            return heard
    raise TimeoutError(f"no event {event} with {data} within 10 s")


def test_an_event_written_elsewhere_arrives(base_url: str, new_id: Callable[[], str]) -> None:
    name, other = new_id(), os.environ.get("OTHER_URL", base_url)
    with connect(address(base_url, "knowledge,messages")) as socket:
        wait_for(socket, "subscribed")
        httpx.post(f"{other}/api/v1/topics", json={"external_id": name, "name": "Heard?"}).raise_for_status()
        assert wait_for(socket, "topic_created", external_id=name)["topic"] == "knowledge"


def test_ping_is_answered(base_url: str) -> None:
    with connect(address(base_url, "proposals")) as socket:
        socket.send("ping")
        assert wait_for(socket, "pong")["topic"] == "system"


def test_an_unknown_topic_is_refused_by_name(base_url: str) -> None:
    with connect(address(base_url, "knowledge,weather")) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400
    assert "weather" in closed.value.rcvd.reason
