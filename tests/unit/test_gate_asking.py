"""What hosts run to ask two slots side by side: it ends in its time, and the slower a slot the surer it is seen."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from small_server import serving
from test_gate_sources import PROBED, ROOT, Hosts, gate, sources

from changeover.gates import judge


@pytest.mark.parametrize("delay, says", [(0.02, False), (0.7, True), (1.5, True), (3.0, True)])
def test_the_slower_a_release_is_the_surer_it_is_seen(
    monkeypatch: pytest.MonkeyPatch, delay: float, says: bool
) -> None:
    """The script itself, at two slots of which one is slow, beside a page that stays quick: each look has its say."""

    def after(pause: float) -> Callable[[Any], tuple[int, str]]:
        return lambda got: (200, "x") if time.sleep(pause) is None else (500, "")

    with serving() as new, serving() as old:
        new.answer, old.answer = after(delay), after(0.02)
        ports = {"18001": new.port, "18000": old.port}

        def say(host: str, words: list[str]) -> list[str]:
            given = json.loads(words[-1])
            for one in given["asks"]:
                port = one["url"].split(":")[2].partition("/")[0]
                one["url"] = f"http://127.0.0.1:{ports[port]}/"
            run = [*words[:4], sys.executable, *words[5:-1], json.dumps(given)]
            return subprocess.run(run, capture_output=True, text=True).stdout.splitlines()

        Hosts(monkeypatch, say)
        wanted = gate({"probe": "p95"}, value=200, baseline={"ratio": 2.0}, window="10s", min_samples=20)
        found = sources(PROBED).measure(wanted)
    assert found.count == found.counted == 20 and found.slower is says, found
    assert judge(wanted, found)[0] == ("fail" if says else "pass")


# --- the script on the hosts


def script(**given: Any) -> list[list[Any]]:
    words = [sys.executable, str(ROOT / "operations" / "on_host" / "asks.py")]
    full = {"rounds": 1, "seconds": 5, "bodies": False, **given}
    out = subprocess.run([*words, json.dumps(full)], capture_output=True, text=True, timeout=30, check=True)
    return json.loads(out.stdout)["answers"]


def test_the_script_asks_in_turn_and_says_how_long_it_took() -> None:
    with serving() as small:
        small.answer = lambda got: (418, "tea")
        asks = [{"url": f"http://127.0.0.1:{small.port}/{n}?q", "headers": {"Host": "shop.test"}} for n in "ab"]
        found = script(asks=asks, rounds=2, bodies=True)
        assert [index for index, _ in found] == [0, 1, 0, 1]
        assert all(said["status"] == 418 and said["body"] == "tea" and said["ms"] > 0 for _, said in found)
        assert [got.line for got in small.got][:2] == ["GET /a?q HTTP/1.1", "GET /b?q HTTP/1.1"]
        assert small.got[0].headers["host"] == "shop.test"


def test_the_script_ends_in_its_time() -> None:
    with serving() as small, socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = {"url": f"http://127.0.0.1:{silent.getsockname()[1]}/", "headers": {}}
        good = {"url": f"http://127.0.0.1:{small.port}/", "headers": {}}
        began = time.monotonic()
        found = script(asks=[good, hangs, good], rounds=50, seconds=0.5)
        assert time.monotonic() - began < 5
        (late,) = (said["late"] for index, said in found if index == 1)
        assert 300 < late < 2000
        answered = [index for index, said in found if "ms" in said]
        assert answered == [0, 2] * 50, "who hangs takes no time from the others"
    refused = script(asks=[good])
    assert refused[0][1]["error"].startswith("ConnectionRefusedError")


def test_the_script_reads_no_more_than_it_has_time_and_room_for() -> None:
    with serving() as small:
        small.answer = lambda got: (200, "y" * 200_000)
        found = script(asks=[{"url": f"http://127.0.0.1:{small.port}/", "headers": {}}], rounds=2, bodies=True)
        assert [(index, len(said["body"])) for index, said in found] == [(0, 65536), (0, 65536)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def answer() -> None:
            with contextlib.suppress(OSError):
                peer, _ = server.accept()
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(100):
                    time.sleep(0.1)
                    peer.sendall(b"x")

        threading.Thread(target=answer, daemon=True).start()
        began = time.monotonic()
        ((_, said),) = script(asks=[{"url": address, "headers": {}}], seconds=0.6)
        assert 400 < said["late"] < 2000 and time.monotonic() - began < 5
