"""Slow uploads, long answers and open sockets: a move of the traffic does not touch what is under way."""

import contextlib
import hashlib
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests import support
from tests.support import changeover, live, pyinfra, ssh

PARTS, PAUSE = 12, 1.0  # an upload of 12 s, a part a second: a switch first starts workers
BODY = b"x" * 40_000
SLOW = 12  # seconds until the long answer comes
PORTS = {"blue": 18000, "green": 18001}


@pytest.fixture
def new_release(tmp_path) -> str:
    """Two releases run, one in each slot; gives the new one, which has the traffic, and keeps it."""
    release = "1.1.1" if live()["release"]["live"] == "1.1.0" else "1.1.0"
    changeover("edge1", f"unhold tasktracker {release}")
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}",
                  *support.data(tmp_path, {"tasktracker.release.soak": "1s"}))  # fmt: skip
    assert run.code == 0, run.text
    return release


def test_what_is_under_way_ends_where_it_began(gateway, new_release):
    first = slot()
    moved_under_way(gateway, lambda: changeover("edge1", "rollback tasktracker --no-hold"))
    old = slot()
    assert old != first
    with events() as heard:
        changeover("edge1", f"stage tasktracker --release {new_release} --as-it-is")  # the slot runs on
        moved_under_way(gateway, lambda: changeover("edge1", "switch tasktracker --lease 0"))
        assert slot() == first
        hears_of_a_write(gateway, heard)  # opened on one slot, written through the other

        changeover("edge1", "drain tasktracker --now")
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(1000):
                heard.recv(timeout=20)
        assert closed.value.rcvd and closed.value.rcvd.code == 1012, closed.value
    assert live()["release"]["live"] == new_release


def moved_under_way(gateway: httpx.Client, move: Callable[[], str]) -> None:
    """Moves the traffic while a slow upload and a long answer are on their way; the old slot answers both, wholly."""
    old, began = slot(), time.time()
    before = answered(old)
    with ThreadPoolExecutor(2) as pool:
        upload = pool.submit(timed, lambda: gateway.post("/api/v1/upload", content=slowly(), timeout=40))
        long = pool.submit(timed, lambda: gateway.get("/api/v1/slow", params={"seconds": SLOW}, timeout=40))
        time.sleep(1)
        move()
        (taken, taken_at), (waited, waited_at) = upload.result(60), long.result(60)
    moved = float(ssh("edge1", "stat -c %.3Z /srv/gateway/slots/tasktracker/live"))
    assert slot() != old
    assert began < moved < min(taken_at, waited_at), f"{began} {moved} {taken_at} {waited_at}: nothing was under way"
    assert taken == {"sha256": hashlib.sha256(BODY * PARTS).hexdigest(), "size": len(BODY) * PARTS}
    assert waited == {"slept": SLOW}
    assert answered(old) == {route: count + 1 for route, count in before.items()}


def timed(ask: Callable[[], httpx.Response]) -> tuple[object, float]:
    """The body of an answer that must be good, and when it was whole (Unix time, s)."""
    answer = ask()
    assert answer.status_code == 200, answer.text
    return answer.json(), time.time()


def slowly() -> Iterator[bytes]:
    """A body whose parts take their time."""
    for _ in range(PARTS):
        yield BODY
        time.sleep(PAUSE)


def slot() -> str:
    """The slot that has the traffic."""
    return live()["slots"]["api"]["live"]


def answered(of: str) -> dict[str, float]:
    """Uploads and slow answers that a slot has answered so far, by its own count on all hosts."""
    found = {"/api/v1/upload": 0.0, "/api/v1/slow": 0.0}
    for host in ("app1", "app2"):
        text = ssh(host, f"curl -sf http://{support.status()['hosts'][host]['address']}:{PORTS[of]}/api/metrics")
        for line in text.splitlines():
            for route in found:
                if line.startswith("http_requests_total{") and f'route="{route}"' in line and f'slot="{of}"' in line:
                    found[route] += float(line.rsplit(" ", 1)[1])
    return found


@contextlib.contextmanager
def events() -> Iterator[ClientConnection]:
    """A socket that is subscribed to topics."""
    status = support.status()["gateway"]
    raw = socket.create_connection((status["address"], status["https_port"]), 10)
    url = "wss://tasks.staging.test/ws?topics=knowledge"
    context = ssl.create_default_context(cafile=status["ca"])
    with connect(url, sock=raw, ssl=context, server_hostname="tasks.staging.test", open_timeout=10) as made:
        made.recv(timeout=10)  # "subscribed"
        yield made


def hears_of_a_write(gateway: httpx.Client, heard: ClientConnection) -> None:
    """Writes through the gateway, and waits until the socket has heard of it."""
    name = f"test-{uuid.uuid4()}"
    assert gateway.post("/api/v1/topics", json={"external_id": name, "name": "heard"}).status_code == 201
    for _ in range(1000):
        if name in json.dumps(json.loads(heard.recv(timeout=10))):
            return
    pytest.fail("the socket heard nothing of the write")
