"""The benches of moves and releases, from their first line to their row of the table; hosts and load are made up."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import control, moves, release, rollback, rows, upgrade
from bench.hosts import Typed
from bench.run import BenchError
from rehearsal.errors import RehearsalError
from rehearsal.load import beside
from rehearsal.load.clients import Sent

NONE = {"count": 0}
RESULT: dict[str, Any] = {
    "sent": 40,
    "failed": 0,
    "failures": {},
    "per_second": 20.0,
    "posts": 13,
    "posts_with_id": 12,
    "by_style": {"h1 closing": 40},
    "by_slot": {"blue": 20, "green": 20},
    "rows": {"ok": True, "rows": 12, "lost": NONE, "twice": NONE, "unknown": NONE},
    "sockets": {
        "ok": True,
        "sockets": 200,
        "sessions": 200,
        "closes": {"ours": 200},
        "events": {"missed": 0, "expected": 9, "over_switch": 5},
    },
}


class Hosts:
    """The live slot changes with each switch and way back, 10 ms after it was typed; a request comes each ms."""

    def __init__(self) -> None:
        self.address = {"edge1": "172.30.99.11", "app1": "172.30.99.12", "app2": "172.30.99.13"}
        self.slot, self.release = "blue", "1.1.0"
        self.typed: list[str] = []
        self.sent: list[Sent] = []

    def live(self) -> dict[str, Any]:
        slots = {name: {"live": self.slot} for name in moves.SLOTTED}
        return {"release": {"live": self.release}, "slots": slots}

    def shell(self, host: str, script: str) -> str:
        self.typed.append(script.partition(" -f")[0])
        hosts = {"api": ["app1", "app2"], "dashboard": ["edge1"]}
        compiled = {"services": {name: {"hosts": found} for name, found in hosts.items()}}
        return json.dumps(compiled) if script.startswith("cat ") else "healthy"

    def move(self) -> tuple[float, str]:
        """Traffic goes to the other slot; when it was asked for, and the slot that had it."""
        asked, was = time.time(), self.slot
        self.slot = "green" if was == "blue" else "blue"
        self.release = "1.1.1" if self.release == "1.1.0" else "1.1.0"
        for at in range(40):
            slot = was if at < 10 else self.slot
            self.sent.append(Sent(asked + at / 1000, 0.5, "h1 closing", "health", "GET", False, 200, "", "", slot))
        time.sleep(0.05)
        return asked, was

    def changeover(self, words: str) -> Typed:
        verb = words.partition(" ")[0]
        self.typed.append(verb)
        asked, was = self.move() if verb in ("switch", "rollback") else (time.time(), self.slot)
        return Typed(words, asked, time.time(), asked + 0.008, asked + 0.0095, was, "")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    hosts = Hosts()

    @contextlib.contextmanager
    def load(out: Path, *words: str, **_: float) -> Iterator[beside.Load]:
        assert "--gateway" in words and words[words.index("--gateway") + 1] == "172.30.99.11:443"
        running = beside.Load(out)
        yield running
        running.result.update(RESULT)

    def deploy(*_: str, **__: str) -> subprocess.CompletedProcess[str]:
        hosts.move()
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(beside, "load", load)
    monkeypatch.setattr(beside.Load, "series", property(lambda _: hosts.sent))
    monkeypatch.setattr(beside.Load, "sent", lambda _: 40)
    for module in (release, rollback, upgrade):
        monkeypatch.setattr(module, "borrowed", lambda: contextlib.nullcontext(hosts))
        monkeypatch.setattr(module, "deploy", deploy)
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    for module, name in ((rollback, "PAUSE"), (moves, "UPLOADS"), (upgrade, "PAUSE"), (release, "STILL")):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(release, "PERIOD", 0.3)
    monkeypatch.setattr(moves, "QUIET", 0.0)
    monkeypatch.setattr(moves, "AFTER", 0.0)
    monkeypatch.setattr(control, "measure", lambda *_: {"reload": {}, "stop": {}})
    return hosts


def test_ways_back_and_switches_from_running_and_stopped_slots(made: Hosts) -> None:
    found = rollback.measure(2)
    counts = {kind: len(times) for kind, times in found["seconds"].items()}
    assert counts == dict.fromkeys([f"{kind}{part}" for kind in ("rollback", "switch", "rollback cold", "switch cold")
                                    for part in ("", " ready")], 2)  # fmt: skip
    assert found["seconds"]["rollback"] == pytest.approx([0.009, 0.009], abs=0.002)
    assert made.typed.count("drain") == 4
    assert sum("docker start tasktracker-api-" in line for line in made.typed) == 4  # two hosts, two switches
    table = rows.table({"rollback": found})
    assert len(table) == 5 and all(row.good for row in table[:4])


def test_a_release_by_the_deploy(made: Hosts) -> None:
    found = upgrade.measure(2)
    assert found["moved"] == pytest.approx([0.009, 0.009], abs=0.005) and len(found["whole"]) == 2
    assert rows.table({"upgrade": found})[0].good


def test_the_run_under_load(made: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "DRAIN_EVERY", 1)
    found = release.measure(requests=40, times=2)
    assert found["moves"] == {"switch": 2, "rollback": 2, "drain": 1}
    assert found["last_on_old"]["rollback cold"] == pytest.approx([0.009], abs=0.002)
    assert found["latency"]["move"]["sent"] and found["latency"]["rollback cold"]["sent"]
    assert len((tmp_path / "switches").read_text().splitlines()) == 4
    assert [row.figure for row in rows.table({"release": found}) if not row.good][:1] == ["requests lost"]  # too few


def test_a_load_that_breaks_off_is_no_figure(made: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def load(*_: Any, **__: Any) -> Iterator[beside.Load]:
        raise RehearsalError("the load did not come up", "", "make rehearsal")
        yield

    monkeypatch.setattr(beside, "load", load)
    for measure in (lambda: rollback.measure(1), lambda: upgrade.measure(1), lambda: release.measure(1, 1)):
        with pytest.raises(BenchError, match="the load did not come up"):
            measure()
