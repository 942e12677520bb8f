"""Where gates ask, and what comes of what hosts, slots, databases and Prometheus say."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from plans import on_all
from small_server import serving
from watching import Change, sample, shop

from changeover.gate_asks import Sides
from changeover.gates import Reading
from changeover.settings import Gate
from operations import gate_sources, watch
from operations.gate_sources import Series, Sources

ROOT = Path(__file__).parents[2]
BOTH = Sides({"api": "green", "clock": "green"}, {"api": "blue", "clock": "blue"}, "1.1.0", "1.0.0")
PROBED = on_all(
    "shop.release", {"probe": [{"path": "/api/x"}, {"path": "/api/y", "method": "POST", "json": {"n": "{id}"}}]}
)


def gate(source: dict[str, Any], **values: Any) -> Gate:
    return Gate.model_validate({"name": "g", "source": source, **({"value": 1} if not values else values)})


class Hosts:
    """What hosts print, by host: words -> (whether it did, lines). What each was asked is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, say: Callable[[str, list[str]], Any]) -> None:
        self.asked: list[tuple[str, list[str], int]] = []

        def shell(host: str, words: list[str], limit: int) -> tuple[bool, list[str]]:
            self.asked.append((host, words, limit))
            said = say(host, words)
            return said if isinstance(said, tuple) else (True, said)

        monkeypatch.setattr(gate_sources, "shell", shell)

    def given(self) -> list[dict[str, Any]]:
        """What the script on each host was given."""
        return [json.loads(words[-1]) for _, words, _ in self.asked if "python3" in words]


def sources(*changes: Change, sides: Sides = BOTH, series: Series | None = None) -> Sources:
    return Sources(shop(*changes), "shop", sides, series, lambda name: name)


# --- the prober's own series


def test_windows_go_by_this_clock_and_not_by_the_samples(clock: list[float], tmp_path: Path) -> None:
    """A wall clock that jumps, forward or back, makes no sample younger or older."""
    file = tmp_path / "p"
    file.write_text(sample(1).line() + "\n")
    series = Series(file)
    assert series.within(60) == [], "what was there before the switch is not the new release's"
    with file.open("a") as out:
        out.write(sample(9).line() + "\n" + sample(2, ms=1.0).line()[:20])
    assert [one.t for one in series.within(60)] == [sample(9).t]
    clock[0] += 20
    with file.open("a") as out:
        out.write(sample(2, ms=1.0).line()[20:] + "\n" + json.dumps({"summary": {}}) + "\n")
    assert [one.t for one in series.within(60)] == [sample(9).t, sample(2).t]
    assert [one.t for one in series.within(20)] == [sample(2).t]
    clock[0] += gate_sources.KEEP + 1
    assert series.within(99999) == []
    assert [one.t for one in Series(file, whole=True).within(1)] == [sample(1).t, sample(9).t, sample(2).t]


def test_the_probers_figures_are_those_of_the_window(clock: list[float], tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("")
    found = sources(series=Series(file))
    bad = sample(status=502, error="status 502 instead of 200")
    file.write_text("".join(f"{one.line()}\n" for one in [bad, sample(), sample(), sample()]))
    wanted = gate({"probe": "5xx"}, op="==", value=0, window="5s")
    assert found.measure(wanted) == Reading(25.0, count=4)
    clock[0] += 6
    assert found.measure(wanted) == Reading(None, count=0)
    assert sources().measure(wanted) == Reading(None, count=0), "no prober, no data"


# --- both slots, by the prober's GETs


def timed(words: list[str], new: float, old: float) -> list[str]:
    given = json.loads(words[-1])
    ms = [new if ":18001/" in one["url"] else old for one in given["asks"]]
    answers = [[index, {"ms": one, "status": 200}] for index, one in enumerate(ms)] * given["rounds"]
    return [json.dumps({"answers": answers})]


def test_latency_is_compared_by_asking_both_slots_on_their_hosts(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    hosts = Hosts(monkeypatch, lambda host, words: timed(words, new=412.0, old=39.0))
    found = sources(PROBED)
    wanted = gate({"probe": "p95"}, value=200, baseline={"ratio": 2.0}, window="10s", min_samples=6)
    assert found.measure(wanted) == Reading(412.0, 39.0, 6, 6, True)
    assert [host for host, _, _ in hosts.asked] == ["app1", "app2"]
    first = hosts.given()[0]
    assert [one["url"] for one in first["asks"]] == ["http://10.0.0.12:18001/api/x", "http://10.0.0.12:18000/api/x"]
    assert first["asks"][0]["headers"]["Host"] == "shop.test" and first["seconds"] < 4 and first["rounds"] == 3
    clock[0] += 5
    assert found.measure(wanted) == Reading(412.0, 39.0, 12, 12, True)
    clock[0] += 6
    assert found.measure(wanted).count == 12, "the first look is out of the window"


def test_before_the_switch_the_old_slots_are_asked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, lambda host, words: timed(words, new=412.0, old=39.0))
    alone = Sides({"api": "blue"}, {}, "1.0.0", "1.0.0")
    assert sources(PROBED, sides=alone).measure(gate({"probe": "p95"}, baseline={"ratio": 2.0})) == Reading(
        39.0, None, 8, 0
    )
    assert [one["url"] for one in hosts.given()[0]["asks"]] == ["http://10.0.0.12:18000/api/x"]


def test_a_request_that_was_not_answered_in_time_took_that_long(monkeypatch: pytest.MonkeyPatch) -> None:
    late, fine, none = {"late": 1800.0}, {"ms": 5.0, "status": 200}, {"error": "refused"}
    Hosts(monkeypatch, lambda host, words: [json.dumps({"answers": [[0, late], [1, fine], [1, none], [0, fine]]})])
    found = sources(PROBED).measure(gate({"probe": "p50"}, baseline={"ratio": 2.0}, min_samples=2))
    assert found == Reading(902.5, 5.0, 4, 2, True), "of two pairs one is whole: 1800 ms beside 5"


# --- HTTP, commands, SQL, Prometheus


def test_the_worst_host_of_a_slot_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(host: str, words: list[str]) -> list[str]:
        (ask,) = json.loads(words[-1])["asks"]
        depth = {"app1": 3, "app2": 8}[host] + (10 if ":18000" in ask["url"] else 0)
        return ["a banner", json.dumps({"answers": [[0, {"ms": 1.0, "status": 200, "body": f'{{"d": {depth}}}'}]]})]

    Hosts(monkeypatch, say)
    source = {"http": "/api/queue", "service": "api", "take": "$.d"}
    assert sources().measure(gate(source)) == Reading(8.0)
    assert sources().measure(gate(source, value=1, op=">")) == Reading(3.0)
    assert sources().measure(gate(source, baseline={"ratio": 2.0})) == Reading(8.0, 18.0)


def test_a_command_runs_in_the_slot_as_words_with_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, lambda host, words: ["42"])
    assert sources().measure(gate({"cmd": ["echo", "$(id); 42"], "service": "clock"})) == Reading(42.0)
    (asked,) = hosts.asked
    words = ["docker", "exec", "shop-clock-green-1", "echo", "$(id); 42"]
    assert asked == ("app1", ["timeout", "-k", "1", "4", *words], 4)


def test_what_fails_is_an_error_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, lambda host, words: (host == "app1", ["42" if host == "app1" else "no such container"]))
    assert sources().measure(gate({"cmd": ["x"], "service": "api"})) == Reading(error="app2: no such container")
    Hosts(monkeypatch, lambda host, words: ["Traceback"])
    assert sources().measure(gate({"http": "/x", "service": "api"})) == Reading(error="app1 did not say: Traceback")


def test_an_old_slot_that_is_ill_is_no_error_of_the_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, lambda host, words: ("green" in " ".join(words), ["7"]))
    assert sources().measure(gate({"cmd": ["x"], "service": "api"}, baseline={"ratio": 2.0})) == Reading(7.0, None)


def test_one_host_without_data_is_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    Hosts(monkeypatch, lambda host, words: ["7"] if host == "app1" else [])
    assert sources().measure(gate({"cmd": ["x"], "service": "api"})) == Reading(None)


def test_sql_is_asked_as_a_role_that_only_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = Hosts(monkeypatch, lambda host, words: ["12"])
    assert sources().measure(gate({"sql": "select '$release'"})) == Reading(12.0)
    ((host, words, limit),) = hosts.asked
    assert (host, limit) == ("data1", 4) and words[:4] == ["timeout", "-k", "1", "4"]
    assert words[4:8] == [
        "docker", "exec", "-e", "PGOPTIONS=-c default_transaction_read_only=on -c statement_timeout=4000",
    ]  # fmt: skip
    assert words[8:] == [
        *"shop-db-1 psql -X -At -v ON_ERROR_STOP=1 -U shop_gates -d shop -c".split(), "select '1.1.0'",
    ]  # fmt: skip
    Hosts(monkeypatch, lambda host, words: [])
    assert sources().measure(gate({"sql": "select null"})) == Reading(None)


def test_prometheus_is_asked_by_the_coordinator_for_both_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(host: str, words: list[str]) -> list[str]:
        value = "3" if "green" in words[-1] else "2"
        result = {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, value]}]}}
        return [json.dumps({"answers": [[0, {"ms": 1.0, "status": 200, "body": json.dumps(result)}]]})]

    hosts = Hosts(monkeypatch, say)
    found = sources(on_all("shop.prometheus", "http://10.0.0.9:9090/"))
    asked = gate({"promql": "up{slot='$slot', r='$release'}"}, baseline={"ratio": 2.0})
    assert found.measure(asked) == Reading(3.0, 2.0)
    assert {host for host, _, _ in hosts.asked} == {"edge1"}
    (one,) = hosts.given()[0]["asks"]
    assert one["url"].startswith(
        "http://10.0.0.9:9090/api/v1/query?query=up%7Bslot%3D%27green%27%2C+r%3D%271.1.0%27%7D"
    )
    assert one["headers"] == {}, "it is not behind the system's name"


def test_a_host_is_asked_a_few_things_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """sshd takes ten sessions; lease, lock and status need theirs."""
    now, most = 0, 0

    def say(host: str, words: list[str]) -> list[str]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        gevent.sleep(0.02)
        now -= 1
        return ["42"]

    Hosts(monkeypatch, say)
    found = sources()
    looks = [gevent.spawn(found.measure, gate({"cmd": ["x"], "service": "clock"})) for _ in range(12)]
    assert all(look.get(timeout=5) == Reading(42.0) for look in looks)
    assert most == gate_sources.MOST


def test_no_answer_in_time_is_an_error_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(host: str, words: list[str]) -> list[str]:
        gevent.sleep(60)
        return []

    Hosts(monkeypatch, never)
    began = time.monotonic()
    asked = gate({"cmd": ["x"], "service": "api", "timeout": "200ms"}, value=1)
    assert sources().measure(asked) == Reading(error="no answer within 200ms")
    assert time.monotonic() - began < 5


def test_through_the_gateway_as_a_user_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as small:
        small.answer = lambda got: (503, '{"n": 4}')
        made = watch.config(shop(), "shop")
        assert made
        here = made.model_copy(update={"base_url": f"http://shop.test:{small.port}", "address": "127.0.0.1"})
        monkeypatch.setattr(watch, "config", lambda *_: here)
        assert sources().measure(gate({"http": "/api/x?a=1"})) == Reading(503.0)
        assert sources().measure(gate({"http": "/api/x", "take": "$.n"})) == Reading(4.0)
        assert (
            small.got[0].line == "GET /api/x?a=1 HTTP/1.1" and small.got[0].headers["host"] == f"shop.test:{small.port}"
        )
    assert "ConnectError" in sources().measure(gate({"http": "/api/x"})).error


# --- a real one


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    """A real Prometheus that scrapes itself each second."""
    program = shutil.which("prometheus") or shutil.which(ROOT / ".cache/prometheus/usr/bin/prometheus")
    if not program:
        pytest.skip("no prometheus here (make prometheus); its documented answers are tested above")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = tmp_path / "p.yml"
    job = {"job_name": "self", "static_configs": [{"targets": [address]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    words = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={address}"]
    process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_real_prometheus(monkeypatch: pytest.MonkeyPatch, prometheus: str) -> None:
    def say(host: str, words: list[str]) -> list[str]:
        run = [*words[:4], sys.executable, *words[5:]]
        return subprocess.run(run, capture_output=True, text=True).stdout.splitlines()

    Hosts(monkeypatch, say)
    found = sources(on_all("shop.prometheus", prometheus))
    end = time.monotonic() + 20
    while found.measure(gate({"promql": "up"})) != Reading(1.0) and time.monotonic() < end:
        time.sleep(0.5)
    assert found.measure(gate({"promql": "up"})) == Reading(1.0)
    assert found.measure(gate({"promql": "up{slot='$slot'}"})) == Reading(None)
    assert found.measure(gate({"promql": "0/0"})) == Reading(None)
    assert "parse error" in found.measure(gate({"promql": "nonsense("})).error
