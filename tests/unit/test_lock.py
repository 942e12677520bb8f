"""One deploy at a time: the lock is taken when the run begins, kept alive, and given back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from fakes import Outcome

from operations import flow, lock

Run = Callable[..., Outcome]
WORDS = {"system": "shop", "owner": "T1", "reason": "deploy of 1.1.0 by me@here"}
ACQUIRE = "/usr/local/bin/changeover lock shop acquire --owner T1 --reason 'deploy of 1.1.0 by me@here' --ttl 60s"
RENEW = "/usr/local/bin/changeover lock shop renew --owner T1 --ttl 60s"
RELEASE = "/usr/local/bin/changeover lock shop release --owner T1"


class Host:
    """A host that answers as it is told, and notes what it is asked."""

    name, state = "edge1", type("State", (), {"config": None})()

    def __init__(self, answers: Callable[[str], bool] = lambda _: True):
        self.asked: list[str] = []
        self.answers = answers
        self.closed: list[str] = []
        self.connector = type("Connector", (), {})()
        self.connector.disconnect = lambda: self.closed.append("closed")

    def run_shell_command(self, command: Any, **arguments: Any) -> tuple[bool, Any]:
        assert arguments == {"_sudo": True, "_timeout": lock.LIMIT}
        self.asked.append(str(command))
        return self.answers(str(command)), type("Output", (), {"stdout_lines": ["said"], "stderr_lines": []})()


def test_it_is_taken_when_the_run_begins_and_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[str] = []
    monkeypatch.setattr(lock, "_keep", lambda host, system, owner: kept.append(f"{host.name} {system} {owner}"))
    done = run(lock.held, {}, **WORDS)
    assert not done.failed and not done.changed
    assert [c.text for c in done.commands] == [ACQUIRE] and done.asked == [], "not while the run is planned"
    assert kept == ["@fake/one shop T1"]


def test_a_lock_that_another_run_holds_ends_this_one_with_its_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_keep", lambda *_: pytest.fail("it is not ours"))
    words = ["error: shop is locked by T0: deploy of 1.0.1 by you@there", "next: changeover lock shop show"]
    done = run(lock.held, {"lock shop acquire": {"success": False, "stderr": words}}, **WORDS)
    assert done.failed and flow.FAILURES["@fake/one"] == words


def test_it_is_kept_alive_and_given_back_before_the_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    host = Host()
    lock._keep(host, "shop", "T1")
    gevent.sleep(0.1)
    assert len(host.asked) >= 2 and set(host.asked) == {RENEW}
    host.connector.disconnect()
    assert host.asked[-1] == RELEASE and host.closed == ["closed"]
    beats = len(host.asked)
    gevent.sleep(0.05)
    assert len(host.asked) == beats, "nothing beats any more"


@pytest.mark.parametrize("error", [OSError("Socket is closed"), TimeoutError()])
def test_a_host_that_is_gone_ends_neither_the_heart_nor_the_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def gone(_: str) -> bool:
        raise error

    monkeypatch.setattr(lock, "BEAT", 0.01)
    host = Host(gone)
    lock._keep(host, "shop", "T1")
    gevent.sleep(0.05)
    assert len(host.asked) >= 2
    host.connector.disconnect()
    assert host.closed == ["closed"]
    done, said = lock.ask(host, "renew", "shop")
    assert not done and said[0].startswith("edge1 does not answer: ")


def test_a_lock_of_a_process_that_is_gone_is_known_by_its_own_machine_only():
    mine = lock.signed("deploy of 1.0.0 by me")
    assert not lock.left_behind(f"error shop is locked by X for another 40 s: {mine}"), "it lives: this process"
    gone = subprocess.Popen(["true"])
    gone.wait()
    dead = mine.replace(f"pid {os.getpid()}", f"pid {gone.pid}")
    assert lock.left_behind(f"error shop is locked by X for another 40 s: {dead}")
    assert not lock.left_behind(dead.replace(socket.gethostname(), "another-machine"))
    assert not lock.left_behind("error shop is locked by somebody: by hand")


# --- what a dead run may still do


def state(**more: object) -> str:
    release = {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    return json.dumps({"schema": 1, "generation": 7, "seq": 9, "release": release, **more})


LEASE = {"txn": "T1", "seconds": 90, "from_generation": 6, "deadline": 1.5}


@pytest.mark.parametrize(
    "text, why",
    [
        (state(), None),
        ("", None),
        (state(lease=LEASE), "the switch to 1.1.0 by T1 is not confirmed yet, and no run holds its lock"),
        (state(lease=LEASE, rolled=["app1"], release={"candidate": "1.2.0"}), "the switch to 1.2.0 by T1"),
        (state(generation=8), "its traffic moved while this run began (1.1.0 is live now); run this again"),
    ],
    ids=["settled", "never installed", "a lease", "half-way", "went back meanwhile"],
)
def test_a_run_does_not_begin_while_another_ones_switch_may_go_back(run: Run, text: str, why: str | None) -> None:
    """It would go back under its feet, or right after it said that the release is live."""
    done = run(lock.settled, {"state.json": [text] if text else []}, system="shop", generation=7 if text else 0)
    assert done.failed is bool(why)
    if why:
        assert why in flow.FAILURES["@fake/one"][0]
