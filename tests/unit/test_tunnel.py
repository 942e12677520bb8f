"""The way to an idle slot: many connections at once and a WebSocket through one SSH transport, as pyinfra runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from plans import ROOT


def test_requests_and_sockets_pass_at_once_and_a_closed_port_is_named() -> None:
    child = Path(__file__).with_name("tunnel_child.py")
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{child.parent}"}
    done = subprocess.run([sys.executable, str(child)], capture_output=True, text=True, timeout=90, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["url"].startswith("http://127.0.0.1:")
    assert found["whole"] == [True] * 10
    assert found["took"] < 10 * 1, "one after the other they would take longer"
    assert found["events"] == [f"POST /x/{number} HTTP/1.1" for number in range(10)]
    assert found["closed"] and found["asked"]
    assert found["refused"].startswith("app1: its SSH does not lead to 127.0.0.1:1: ")
    assert "AllowTcpForwarding" in found["refused"]
    assert found["local"] == "http://10.0.0.1:18001", "no SSH: this very machine"
