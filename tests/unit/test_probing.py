"""The prober's process: it sends nothing twice, sees what is lost, and starts and ends cleanly."""

import asyncio
import contextlib
import http
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time

import httpx
import pytest
from websockets.asyncio.server import serve

from changeover import probe, probing
from changeover.probe import Config, ProbeError, Prober
from rehearsal import trust

NAME = "tasks.example.com"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    trust.certificates(folder, folder / "ca.crt", [NAME])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context, str(folder / "ca.crt")


@contextlib.contextmanager
def in_background(opened):
    """Runs a server (made by a coroutine that gives it back) in a thread; yields its port."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), []

    async def main():
        server = await opened()
        ports.append(next(iter(server.sockets)).getsockname()[1])
        ready.set()

    loop.create_task(main())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def config(port, ca, **changes) -> Config:
    base = {"base_url": f"https://{NAME}:{port}", "address": "127.0.0.1", "ca": ca, "seconds": 20, "rate": 40}
    return Config.model_validate({**base, "requests": [{"path": "/"}], **changes})


def test_answers_slots_and_ids(tls, tmp_path):
    context, ca = tls
    seen = []

    async def answer(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = int(head.partition("content-length: ")[2].split("\r\n")[0] or 0)
                seen.append((head, (await reader.readexactly(size)).decode()))
                body, status = b'{"slot": "green", "release": "1.1.0"}', "201 Created" if size else "200 OK"
                headers = f"content-type: application/json\r\ncontent-length: {len(body)}"
                writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body)

    requests = [{"path": "/x"}, {"method": "POST", "path": "/y", "json": {"a": ["{id}"]}, "expect": 201}]
    out = tmp_path / "probe.jsonl"
    with in_background(lambda: asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)) as port:
        prober = Prober(config(port, ca, requests=requests), out)
        prober.start()
        time.sleep(1)
        found = prober.stop()
    assert found["failed"] == 0, found
    assert set(found["by_kind"]) == {"h1", "h1 close", "h2", "h2 close"}
    assert found["by_slot"]["green"]["sent"] == found["sent"] == len(seen) >= 8
    assert all(f"host: {NAME}:{port}\r\n" in head for head, _ in seen)
    assert sum("connection: close" in head for head, _ in seen) >= 2
    ids = [json.loads(body)["a"][0] for _, body in seen if body]
    assert len(ids) == len(set(ids)) >= 4
    assert json.loads(out.read_text().splitlines()[-1])["summary"] == found
    assert {one.release for one in probe.read(out)} == {"1.1.0"}


def test_it_asks_in_turn_as_each_of_its_clients(tls, tmp_path):
    context, ca = tls
    seen = []

    async def answer(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                seen.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
                writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: part=7\r\ncontent-length: 0\r\n\r\n")

    clients = {"first": {"cookie": "part=0"}, "last": {"cookie": "part=99"}}
    out = tmp_path / "probe.jsonl"
    with in_background(lambda: asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)) as port:
        prober = Prober(config(port, ca, clients=clients), out)
        prober.start()
        time.sleep(1)
        assert prober.stop()["failed"] == 0
    names = [one.client for one in probe.read(out)]
    assert set(names) == {"first", "last"} and abs(names.count("first") - names.count("last")) <= 4
    cookies = [line for head in seen for line in head.splitlines() if line.startswith("cookie")]
    assert len(cookies) == len(seen) == len(names), "a cookie that it is given is not sent instead"
    assert cookies.count("cookie: part=0") == names.count("first")


def test_a_post_that_is_dropped_is_sent_once_and_is_a_failure(tls):
    context, ca = tls
    seen = []

    async def drop(reader, writer):
        seen.append(await reader.readuntil(b"}"))
        writer.close()

    async def ask(port):
        written = []
        found = config(port, ca, requests=[{"method": "POST", "path": "/", "json": {"id": "{id}"}, "expect": 201}])
        clients = probing.Clients(found)
        for kind in clients.kinds:
            await probing._one(found, clients, kind, found.requests[0], written.append)
        await clients.close()
        return written

    with in_background(lambda: asyncio.start_server(drop, "127.0.0.1", 0, ssl=context)) as port:
        written = asyncio.run(ask(port))
    assert len(seen) == len(written) == 4
    assert all("RemoteProtocolError" in one.error for one in written), written


def test_a_resend_by_the_library_is_a_failure():
    written = []

    class Resending(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            for _ in range(2):
                await request.extensions["trace"]("http2.send_request_headers.started", {})
            return httpx.Response(200)

    async def ask():
        found = config(443, None)
        async with httpx.AsyncClient(transport=Resending()) as client:
            await probing._send(found, "h2", client, found.requests[0], written.append)

    asyncio.run(ask())
    assert written[0].error == "lost, and sent 2 times by the client's library"


def test_a_socket_that_is_closed_with_1012_comes_back_and_another_close_is_a_failure(tls, tmp_path):
    context, ca = tls
    codes = iter([1012, 1001])

    async def talk(socket):
        await socket.send("subscribed")
        code = next(codes, None)
        await (asyncio.sleep(0.1) if code else socket.wait_closed())
        await socket.close(code or 1000)

    def plain(connection, request):
        return connection.respond(http.HTTPStatus.OK, "ok\n") if request.path == "/" else None

    out = tmp_path / "probe.jsonl"
    with in_background(lambda: serve(talk, "127.0.0.1", 0, ssl=context, process_request=plain)) as port:
        prober = Prober(config(port, ca, websocket="/ws", rate=5), out)
        prober.start()
        end = time.monotonic() + 10
        while sum(one.status == 101 for one in probe.read(out)) < 3 and time.monotonic() < end:
            time.sleep(0.1)
        prober.stop()
    sockets = [(one.status, one.error) for one in probe.read(out) if one.kind == "ws"]
    assert sockets == [(101, None), (1012, None), (101, None), (1001, "closed with 1001 instead of 1012"), (101, None)]


def test_a_release_that_takes_no_new_socket_is_seen_though_the_old_one_stays(tls, tmp_path):
    """The socket that is kept stays where it is until that drains; users open new ones all the time."""
    context, ca = tls
    opened = []

    def dead(connection, request):
        if request.path != "/ws":
            return connection.respond(http.HTTPStatus.OK, "ok\n")
        opened.append(request.path)
        bad = len(opened) > 3  # one that is kept, two that are opened for a moment; then another release
        return connection.respond(http.HTTPStatus.BAD_GATEWAY, "no\n") if bad else None

    out = tmp_path / "probe.jsonl"
    with in_background(
        lambda: serve(lambda s: s.wait_closed(), "127.0.0.1", 0, ssl=context, process_request=dead)
    ) as port:
        prober = Prober(config(port, ca, websocket="/ws", open_every=0.2, rate=5), out)
        prober.start()
        end = time.monotonic() + 10
        while not any(one.error for one in probe.read(out)) and time.monotonic() < end:
            time.sleep(0.1)
        assert prober.running
        prober.stop()
    sockets = [(one.kind, one.status, bool(one.error)) for one in probe.read(out) if one.kind.startswith("ws")]
    assert sockets[:4] == [("ws", 101, False), ("ws new", 101, False), ("ws new", 101, False), ("ws new", None, True)]
    assert probe.summary(probe.read(out))["by_kind"]["ws new"]["p50"] is None, "no latency of a page"


def test_an_outage_is_written_down_and_it_ends_with_its_parent(tmp_path):
    out = tmp_path / "probe.jsonl"
    words = [sys.executable, "-m", "changeover.probe", "-", str(out)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(config(1, None, rate=20).model_dump_json(by_alias=True).encode() + b"\n")
        process.stdin.flush()
        end = time.monotonic() + 15
        while not (out.exists() and out.read_text()) and time.monotonic() < end:
            time.sleep(0.1)
        printed, _ = process.communicate(timeout=15)  # closes standard input, as a death of the parent does
    found = json.loads(printed)["summary"]
    assert process.returncode == 0
    assert found["sent"] == found["failed"] > 0
    assert "ConnectError" in found["first_failures"][0]["error"]


def test_it_ends_by_itself_and_on_sigterm_with_whole_lines(tmp_path):
    for seconds, kill in ((0.3, False), (60, True)):
        source, out = tmp_path / "config.json", tmp_path / "out.jsonl"
        out.unlink(missing_ok=True)
        source.write_text(config(1, None, seconds=seconds).model_dump_json(by_alias=True))
        words = [sys.executable, "-m", "changeover.probe", str(source), str(out)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            while kill and not (out.exists() and out.read_text()):
                time.sleep(0.1)
            if kill:
                os.kill(process.pid, signal.SIGTERM)
            printed, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert json.loads(printed) == json.loads(out.read_text().splitlines()[-1])


def test_a_prober_that_cannot_run_says_why(tmp_path):
    prober = Prober(config(443, "/nowhere/ca.crt"), tmp_path / "out.jsonl")
    with pytest.raises(ProbeError, match="did not start: .*/nowhere/ca.crt: No such file"):
        prober.start()
    with pytest.raises(ProbeError, match="call start"):
        Prober(prober.config, prober.out).stop()
