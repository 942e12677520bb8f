"""Readiness: the script that asks idle slots, run as on a host against a small server of this machine's own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome

from operations import ready

SCRIPT = Path(__file__).resolve().parents[2] / "operations/on_host/ready.py"
Run = Callable[..., Outcome]
OK = {"status": "ok"}
ANSWERS: dict[str, tuple[int, str]] = {
    "/right": (200, '{"status": "ok", "nats": "ok"}'),
    "/wrong": (200, '{"status": "degraded", "nats": "down"}'),
    "/empty": (200, "{}"),
    "/null": (200, '{"status": null}'),
    "/503": (503, '{"status": "ok", "database": "away"}'),
    "/list": (200, '["ok"]'),
    "/html": (200, "<h1>ok</h1>"),
    "/moved": (307, ""),
    "/true": (200, '{"ready": true, "n": 1}'),
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server with ANSWERS; /late is right from its third answer on."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            late = (200, '{"status": "ok"}') if asked.count("/late") > 2 else (200, '{"status": "starting"}')
            status, body = late if self.path == "/late" else ANSWERS[self.path]
            self.send_response(status)
            self.send_header("Location", "/right")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    httpd.server_close()


def ask(*checks: tuple[str, dict[str, Any]], limit: float = 0, **environment: str) -> tuple[int, list[str]]:
    """(exit code, lines) of the script, with a check for each (URL, wanted keys)."""
    made = [{"name": "api-green", "url": url, "json": wanted, "limit": limit} for url, wanted in checks]
    command = [sys.executable, "-c", SCRIPT.read_text()]
    done = subprocess.run(
        command, input=json.dumps(made), capture_output=True, text=True, timeout=20, env={"LC_ALL": "C", **environment}
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def test_the_right_body_is_ready_and_nothing_is_said(server: str) -> None:
    checks = [(f"{server}/right", OK), (f"{server}/html", {}), (f"{server}/true", {"ready": True, "n": 1})]
    assert ask(*checks) == (0, [])


@pytest.mark.parametrize(
    "path, shows",
    [
        ("/wrong", '200 {"status": "degraded", "nats": "down"}'),
        ("/empty", "200 {}"),
        ("/503", '503 {"status": "ok", "database": "away"}'),
        ("/list", '200 ["ok"]'),
        ("/html", "200 <h1>ok</h1>"),
        ("/moved", "307"),
    ],
)
def test_a_wrong_answer_is_shown_with_what_was_wanted(server: str, path: str, shows: str) -> None:
    assert ask((server + path, OK)) == (
        1,
        [
            f'api-green is not ready after 0 s: {server}{path} must say 200 and {{"status": "ok"}}',
            f"it says: {shows}",
        ],
    )


def test_a_key_that_is_not_there_is_not_one_that_is_null(server: str) -> None:
    assert ask((f"{server}/null", {"status": None}))[0] == 0
    assert ask((f"{server}/empty", {"status": None}))[0] == 1


def test_without_wanted_keys_the_status_is_what_counts(server: str) -> None:
    code, lines = ask((f"{server}/503", {}))
    assert code == 1 and lines[0].endswith("/503 must say 200")


def test_an_answer_that_becomes_right_is_waited_for(server: str) -> None:
    assert ask((f"{server}/late", OK), limit=10) == (0, [])


def test_all_that_are_not_ready_are_named(server: str) -> None:
    code, lines = ask((f"{server}/wrong", OK), (f"{server}/right", OK), (f"{server}/empty", OK))
    assert code == 1 and len(lines) == 4


def test_nothing_that_listens_is_not_ready_within_the_limit() -> None:
    began = time.monotonic()
    code, lines = ask(("http://127.0.0.1:1/", OK), limit=1)
    assert code == 1 and "Connection refused" in lines[1]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("says", [b"", b"this is no HTTP\r\n\r\n"], ids=["nothing", "nonsense"])
def test_one_that_answers_nothing_is_not_ready_within_the_limit(says: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            kept = []
            try:
                while True:
                    kept.append(listening.accept()[0])
                    kept[-1].sendall(says)
            except OSError:
                pass

        threading.Thread(target=talk, daemon=True).start()
        began = time.monotonic()
        code, lines = ask((f"http://127.0.0.1:{listening.getsockname()[1]}/", OK), limit=1)
        assert time.monotonic() - began < 6
        listening.shutdown(socket.SHUT_RDWR)
    assert code == 1 and len(lines) == 2 and "Traceback" not in "\n".join(lines)


def test_a_slot_is_asked_itself_and_no_proxy(server: str) -> None:
    assert ask((f"{server}/right", OK), http_proxy="http://127.0.0.1:1") == (0, [])


# --- the operation

CHECK = {"name": "api-green", "url": "http://10.0.0.1:18001/x", "json": OK, "limit": 60}


def test_the_host_asks_and_the_checks_go_through_stdin(run: Run) -> None:
    (command,) = run(ready.answers, {}, checks=[CHECK]).commands
    assert json.loads(command.stdin or "") == [CHECK]


def test_a_slot_that_is_not_ready_fails_the_host_with_its_answer(run: Run) -> None:
    says = ["api-green is not ready after 60 s: ...", 'it says: 200 {"status": "degraded"}']
    done = run(ready.answers, {"python3 -c": {"success": False, "stdout": says}}, checks=[CHECK])
    assert done.failed and says[1] in done.lines


def test_without_candidates_nothing_is_asked(run: Run) -> None:
    done = run(ready.answers, {}, checks=[])
    assert (done.changed, done.failed, done.asked, done.commands) == (False, False, [], [])
