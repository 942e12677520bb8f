"""The bench of releases: what the requests say about the moves, the verdicts, and what it refuses. On made-up data."""

import contextlib
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import control, figures, hosts, moves, release, rows
from bench.hosts import Typed
from bench.moves import Move
from bench.run import BenchError
from bench.traffic import Window, last_on, latencies, parts
from rehearsal.load import beside
from rehearsal.load.clients import Sent

ABOUT = {
    "command": "python -m bench release",
    "date": "2026-11-21 22:00 UTC",
    "commit": "abc1234",
    "machine": {"cores": 2, "memory": 24, "kernel": "Linux 6.1", "load": 0.2},
}
LATENCY = {"sent": 1000, "failed": 0, "p50": 10.0, "p95": 50.0, "p99": 100.0, "max": 200.0}
RELEASE: dict[str, Any] = {
    **ABOUT,
    "sent": 201_000,
    "failed": 0,
    "failures": {},
    "per_second": 215.0,
    "posts": 63_000,
    "posts_with_id": 62_000,
    "by_style": {"h1 keep-alive": 100_000, "h2 closing": 101_000},
    "rows": {"ok": True, "rows": 62_000, **{key: {"count": 0} for key in ("lost", "twice", "unknown")}},
    "sockets": {
        "ok": True,
        "sockets": 200,
        "sessions": 600,
        "closes": {"ours": 200, "1012": 400},
        "events": {"missed": 0, "expected": 180_000, "over_switch": 9_000},
    },
    "moves": {"switch": 50, "rollback": 50, "drain": 4},
    "latency": {"rest": LATENCY, "move": {**LATENCY, "p99": 149.0}},
    "last_on_old": {"rollback": [0.4, 0.6], "switch": [5.0], "switch ready": [0.01], "rollback cold": [8.0]},
    "rate": 250,
    "quiet": 2.0,
    "control": {
        name: {"switches": 40, "sent": 9_000, "failed": 70, "failures": {"status 502 | h1 POST": 70}}
        for name in ("reload", "stop")
    },
}


def sent(t: float, ms: float = 10.0, slot: str = "", error: str = "") -> Sent:
    return Sent(t, ms, "h1 closing", "health", "GET", False, 200, error, "", slot)


def move(kind: str, asked: float, moved: float, was: str, cold: bool = False) -> Move:
    typed = Typed(kind, asked, moved + 1, moved - 0.1, moved, was, "")
    return Move(kind, cold, asked, typed, moved + 1)


def test_requests_belong_to_the_window_they_were_on_their_way_in() -> None:
    windows = [Window("switch", 10.0, 12.0), Window("rollback", 20.0, 21.0)]
    before, reaching, inside, near, rest = sent(5.0), sent(9.5, 600), sent(11.0), sent(13.0), sent(16.0)
    back = sent(21.0)
    found = parts([before, sent(8.5), reaching, inside, near, rest, back], windows, quiet=2.0)
    assert found == {"rest": [before, rest], "switch": [reaching, inside], "rollback": [back]}
    assert parts([before], [], quiet=2.0) == {"rest": [before]}


def test_a_window_further_back_counts_too() -> None:
    found = parts([sent(1.0, 30_000)], [Window("a", 2.0, 3.0), Window("b", 20.0, 21.0)], quiet=1.0)
    assert set(found) == {"a", "b"}


def test_latencies_have_counts_and_losses() -> None:
    found = latencies([sent(1.0), sent(1.1, 30.0), sent(1.2, error="Lost")], [Window("move", 0.0, 2.0)], quiet=0)
    assert found["move"]["sent"] == 3 and found["move"]["failed"] == 1 and found["move"]["max"] == 30.0


def test_the_last_request_on_the_old_slot() -> None:
    series = [
        sent(1.0, slot="blue"),
        sent(2.1, slot="blue"),
        sent(2.5, slot="blue"),
        sent(2.6, slot="green"),
        sent(9.0, slot="blue"),
    ]
    assert last_on(series, "blue", since=2.0, until=8.0) == 0.5
    assert last_on(series, "blue", since=3.0, until=8.0) is None


def test_each_move_is_looked_at_until_the_next_one_and_stops_are_no_moves() -> None:
    made = [
        move("rollback", 10.0, 10.5, "green"),
        move("switch", 20.0, 25.0, "blue"),
        replace(move("drain", 26.0, 25.0, "green"), kind=moves.DRAIN),
        move("rollback", 30.0, 38.0, "green", cold=True),
    ]
    series = [
        sent(10.4, slot="green"), sent(15.0, slot="blue"), sent(24.95, slot="blue"), sent(26.0, slot="green"),
        sent(37.0, slot="green"), sent(38.5, slot="blue"),
    ]  # fmt: skip
    found = moves.last_requests(series, made)
    assert found == {
        "rollback": [0.4],
        "rollback ready": [0.0],
        "switch": [4.95],
        "switch ready": [0.05],
        "rollback cold": [7.0],
        "rollback cold ready": [0.0],
    }


def test_what_a_typed_command_prints_is_read() -> None:
    typed = hosts.parse("rollback shop", "0 10.5 12.5 10.9 11.0 green\nshop is back on 1.0.0\nnext: x")
    assert (typed.typed, typed.ended, typed.ready, typed.moved, typed.was) == (10.5, 12.5, 10.9, 11.0, "green")
    assert typed.said == "shop is back on 1.0.0\nnext: x"


def test_both_ways_are_open_between_two_releases_only() -> None:
    assert [hosts.other(release) for release in ("1.0.0", "1.1.0", "1.1.1")] == ["1.1.0", "1.1.1", "1.1.0"]
    with pytest.raises(BenchError, match="1.2.0 is live"):
        hosts.other("1.2.0")


def test_the_control_group_names_the_slots_of_the_data() -> None:
    text = control.upstreams({"app1": "10.0.0.1", "app2": "10.0.0.2", "edge1": "10.0.0.3"}, "green")
    assert "server 10.0.0.1:18001;\n    server 10.0.0.2:18001;" in text and "server 10.0.0.3:18011;" in text


@pytest.mark.parametrize("failed", [0, 3])
def test_a_control_group_that_loses_nothing_makes_the_run_void(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failed: int
) -> None:
    @contextlib.contextmanager
    def load(out: Path, *_: str, **__: float):
        yield beside.Load(out, {"sent": 50, "failed": failed, "failures": {"Lost | h1": {"count": failed}}})

    monkeypatch.setattr(beside, "load", load)
    monkeypatch.setattr(control, "SECONDS", 0.02)
    if failed:
        found = control.group(None, tmp_path / "reload.json", [], lambda *_: None, every=0.001)  # type: ignore[arg-type]
        assert found["failed"] == 3 and found["sent"] == 50 and found["switches"] > 1
    else:
        with pytest.raises(BenchError, match="reload lost nothing of 150 requests.*void"):
            control.group(None, tmp_path / "reload.json", [], lambda *_: None, every=0.001)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "status, why",
    [
        ({"state": "down", "hosts": {}}, "not up"),
        (
            {
                "state": "up",
                "hosts": {"edge1": {"address": "172.30.99.11"}},
                "gateway": {"url": "https://a:8443", "address": "192.0.2.1", "https_port": 8443, "ca": "ca"},
            },
            "no load is sent to 192.0.2.1",
        ),
    ],
)
def test_other_hosts_than_the_rehearsals_are_refused(
    monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], why: str
) -> None:
    monkeypatch.setattr(hosts.state, "read", lambda: status)
    with pytest.raises(BenchError, match=why):
        hosts.Hosts()


@pytest.mark.parametrize("name, kind", [("edge1.prod.example", "staging"), ("edge1.staging.test", "production")])
def test_a_coordinator_that_is_somebody_elses_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, kind: str) -> None:
    status = {
        "state": "up",
        "hosts": {"edge1": {"address": "172.30.99.11", "fqdn": "edge1.staging.test"}},
        "gateway": {"url": "https://a:8443", "address": "127.0.0.1", "https_port": 8443, "ca": "ca"},
    }
    monkeypatch.setattr(hosts.state, "read", lambda: status)
    monkeypatch.setattr(hosts.Hosts, "shell", lambda *_: f'{name}\n{{"environment": "{kind}"}}')
    with pytest.raises(BenchError, match="nothing was touched"):
        hosts.Hosts()


class Fake:
    """Hosts that only remember what was typed."""

    def __init__(self, **now: Any):
        self.now = {"lease": None, "maintenance": None, "pending": [], **now}
        self.typed: list[str] = []

    def live(self) -> dict[str, Any]:
        return self.now

    def shell(self, *_: str) -> str:
        return '{"lock": null}'

    def changeover(self, words: str) -> Typed:
        self.typed.append(words.replace("tasktracker ", "").replace(" tasktracker", ""))
        return Typed(words, 1.0, 2.0, 1.1, 1.2, "blue", "")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    made = Fake()
    monkeypatch.setattr(hosts, "FOLDER", tmp_path / "folder")
    monkeypatch.setattr(hosts, "Hosts", lambda: made)

    def deploy() -> subprocess.CompletedProcess[str]:
        made.typed.append("deploy")
        made.now["lease"] = None
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(hosts, "deploy", deploy)
    return made


def test_hosts_are_put_right_after_an_error(fake: Fake) -> None:
    with pytest.raises(KeyboardInterrupt), hosts.borrowed():
        fake.now["lease"] = {"txn": "T1"}  # broken off in a switch
        raise KeyboardInterrupt
    assert fake.typed == ["recover", "confirm", "deploy", "drain --now"]


def test_putting_right_is_not_broken_off(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(hosts, "restore", lambda _: (os.kill(os.getpid(), signal.SIGINT), fake.typed.append("whole")))
    with hosts.borrowed():
        pass
    assert fake.typed == ["whole"] and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("busy", [{"lease": {"txn": "T1"}}, {"maintenance": {"why": "x"}}, {"pending": [{}]}])
def test_hosts_that_somebody_works_on_are_left_alone(fake: Fake, busy: dict[str, Any]) -> None:
    fake.now |= busy
    with pytest.raises(BenchError, match="is being worked on"), hosts.borrowed():
        pytest.fail("it began")
    assert fake.typed == []


def test_there_and_back_with_a_stop_now_and_then(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STILL": 0.0, "PERIOD": 0.0, "DRAIN_EVERY": 2}.items():
        monkeypatch.setattr(release, name, value)
    monkeypatch.setattr(moves, "UPLOADS", 0.0)
    journey = release.Journey(fake, beside.Load(Path("none")), "1.1.1")  # type: ignore[arg-type]
    journey.there_and_back(4)
    assert [(one.kind, one.cold) for one in journey.moves] == [
        ("rollback", False), ("switch", False), ("rollback", False), ("switch", False), ("drain", False),
        ("rollback", True), ("switch", False), ("rollback", False), ("switch", False),
    ]  # fmt: skip
    assert fake.typed[:4] == ["rollback --no-hold", "stage --release 1.1.1 --as-it-is",
                              "switch --release 1.1.1 --lease 90s", "confirm"]  # fmt: skip


def test_a_good_run_meets_every_target() -> None:
    assert [row for row in rows.table({"release": RELEASE}) if not row.good] == []


@pytest.mark.parametrize(
    "change, missed",
    [
        ({"failed": 1, "failures": {"Lost | h1": 1}}, "requests lost"),
        ({"sent": 199_999}, "requests lost"),
        ({"moves": {"switch": 49, "rollback": 50, "drain": 4}}, "requests lost"),
        ({"posts": 60_000}, "writes in the database"),
        ({"rows": {**RELEASE["rows"], "ok": False}}, "writes in the database"),
        ({"sockets": {**RELEASE["sockets"], "ok": False}}, "WebSockets"),
        ({"sockets": {**RELEASE["sockets"], "sockets": 199}}, "WebSockets"),
        ({"latency": {"rest": LATENCY, "move": {**LATENCY, "p99": 151.0}}}, "p99 during a move"),
        ({"last_on_old": {"rollback": [0.4, 1.01]}}, "way back, under load"),
        ({"last_on_old": {"rollback cold": [15.1]}}, "stopped slots, under load"),
    ],
)
def test_each_miss_is_said(change: dict[str, Any], missed: str) -> None:
    bad = [row for row in rows.table({"release": {**RELEASE, **change}}) if not row.good]
    assert len(bad) == 1 and missed in bad[0].figure


def test_the_slowest_release_counts() -> None:
    assert not rows.of_upgrade({"moved": [20.0, 45.1]})[0].good
    assert rows.of_upgrade({"moved": [20.0, 45.0]})[0].measured == "32.50 s (20.00 to 45.00, 2 times)"


def test_the_page_shows_figures_controls_and_what_is_missing() -> None:
    page = figures.page({"release": RELEASE})
    assert "| requests lost | 0 of 200,000 or more, over 50 switches and 50 ways back or more | 0 of 201,000" in page
    assert "1.5 times: 149 ms of 1,000 requests in a move, 100 ms of 1,000 at rest | met |  |" in page
    assert "| containers stopped, then started | 40 | 9,000 | **70** | 70 status 502, h1 POST |" in page
    assert "Not measured yet: `python -m bench rollback`." in page
    assert "Not measured yet: `python -m bench release`." in figures.page({})
