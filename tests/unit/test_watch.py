"""A release under watch: what the prober asks, what its answers mean, and how the lease is kept alive."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plans import Hosts, on_all, staging_hosts
from watching import BAD, Change, Prober, T, sample, shop

from changeover import fleet, probe
from changeover.live import Live
from changeover.probe import Sample
from operations import watch

# --- what is asked


def test_what_the_rehearsals_prober_asks() -> None:
    found = watch.config(fleet.load(staging_hosts()), "tasktracker")
    assert found
    assert (found.base_url, str(found.address)) == ("https://tasks.staging.test:8443", "127.0.0.1")
    assert (found.ca, found.websocket) == (".rehearsal/ca.crt", "/ws?topics=knowledge")
    assert [(one.method, one.path, one.expect) for one in found.requests] == [
        ("GET", "/api/health", 200),
        ("GET", "/api/v1/topics?limit=5", 200),
        ("POST", "/api/v1/topics", 201),
        ("GET", "/dashboard/", 200),
    ]
    assert found.requests[2].body == {"external_id": "probe-{id}", "name": "a probe of the deploy"}


def test_behind_a_persons_page_the_prober_asks_what_answers_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.run, "_live", {"tasktracker": Live(maintenance={"why": "moving"}), "hello": Live()})
    found = watch.config(fleet.load(staging_hosts()), "tasktracker")
    assert found and found.websocket is None
    assert [(one.method, one.path, one.expect) for one in found.requests] == [("GET", "/api/health", 200)]
    monkeypatch.setattr(watch.run, "_live", {"hello": Live(maintenance={"why": "moving"})})
    other = watch.config(fleet.load(staging_hosts()), "hello")
    assert other and [one.path for one in other.requests] == ["/nginx-health"]


def test_a_get_has_no_body() -> None:
    found = watch.config(fleet.load(staging_hosts()), "tasktracker")
    assert found and [one.body for one in found.requests if one.method == "GET"] == [None, None, None]


def test_it_lives_longer_than_lease_and_soak_and_ends_by_itself() -> None:
    found = watch.config(shop(on_all("shop.release", {"lease": "20m", "soak": "24h"})), "shop")
    assert found and 20 * 60 + 86400 < found.seconds < 20 * 60 + 86400 + 1200


def test_one_prober_sees_all_turns_of_a_rolling_release() -> None:
    def turns(**release: str) -> float:
        found = watch.config(shop(on_all("shop.release", release)), "shop")
        assert found
        return found.seconds - watch.config(shop(), "shop").seconds  # type: ignore[union-attr]

    hosts = len(shop().turns("shop"))
    assert hosts > 1 and turns(strategy="recreate") == 0
    assert turns(strategy="rolling", pause="15m") > hosts * (15 * 60 + 2 * 120)


def test_without_tls_and_reach_it_asks_the_gateways_own_address() -> None:
    found = watch.config(shop(), "shop")
    assert found and (found.base_url, str(found.address), found.ca) == ("http://shop.test:80", "10.0.0.11", None)
    tls = watch.config(shop(on_all("shop.tls", {"certificate": "a", "key": "b", "ca": "c"})), "shop")
    assert tls and (tls.base_url, tls.ca) == ("https://shop.test:443", "c")


@pytest.mark.parametrize(
    "change, paths",
    [
        (lambda hosts: None, ["/api/health"]),
        (on_all("shop.services.api.routes", {"/shop": {"strip": True}}), ["/shop/api/health"]),
        (on_all("shop.services.api.routes", {"/": {}}), ["/api/health"]),
        (on_all("shop.services.api.routes", {"/api": {}, "/other": {}}), ["/api/health"]),
        (on_all("shop.services.api.health.http", "/api?a=1"), ["/api?a=1"]),
    ],
)
def test_without_requests_the_health_paths_behind_the_routes_are_asked(change: Change, paths: list[str]) -> None:
    found = watch.config(shop(change), "shop")
    assert found and [one.path for one in found.requests] == paths


def test_a_system_without_slots_or_health_has_its_gateway_asked() -> None:
    found = watch.config(shop(), "hello")
    assert found and [one.path for one in found.requests] == ["/nginx-health"]


def test_a_system_without_a_gateway_has_no_prober() -> None:
    def change(hosts: Hosts) -> None:
        for _, _, data in hosts:
            if "hello" in data:
                del data["hello"]["domain"], data["hello"]["services"]["web"]["routes"]

    plan = shop(change)
    assert watch.config(plan, "hello") is None
    assert watch.start(plan, "hello", "T1") is None and "hello" not in watch.PROBERS


# --- what the answers mean



def test_good_answers_ask_for_nothing(probers: dict[str, Any], tmp_path: Path) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1), sample(2))
    assert watch.judge("shop", 0) == [] == watch.judge("hello", 0)


def test_a_failed_probe_is_a_reason_with_the_first_one_and_its_slot(probers: dict[str, Any], tmp_path: Path) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1), sample(5, error="late"), BAD)
    assert watch.judge("shop", 0) == [
        "2 of 3 probes failed (limit 0)",
        f"first at {T.format(3)}: POST /x (slot green): status 502 instead of 200",
    ]
    assert watch.judge("shop", 1) and watch.judge("shop", 2) == []


def test_a_prober_that_has_ended_proves_nothing(probers: dict[str, Any], tmp_path: Path) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1), running=False)
    assert watch.judge("shop", 0) == [
        f"the prober has ended, so nothing watches the release; see {tmp_path / 'p'}",
    ]


def test_a_real_process_runs_until_it_is_stopped(tmp_path: Path) -> None:
    found = watch.config(shop(), "shop")
    assert found
    prober = probe.Prober(found, tmp_path / "p")
    assert not prober.running
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        prober._process = process
        assert prober.running
        process.communicate(timeout=10)
        assert not prober.running



# --- start and stop


@pytest.fixture
def started(
    monkeypatch: pytest.MonkeyPatch, probers: dict[str, Any], clock: list[float], tmp_path: Path
) -> Callable[..., str | None]:
    """start(*samples): what start() says when the prober sees these before the switch."""
    monkeypatch.setattr(watch, "FOLDER", tmp_path / "reports")

    def start(*samples: Sample) -> str | None:
        monkeypatch.setattr(watch, "Prober", lambda config, out: Prober(out, *samples))
        return watch.start(shop(), "shop", "T1")

    return start


def test_a_prober_that_sees_answers_is_kept_until_it_is_stopped(
    started: Callable[..., str | None], probers: dict[str, Any], tmp_path: Path
) -> None:
    assert started(sample(1), sample(2)) is None
    prober = probers["shop"]
    assert prober.out == tmp_path / "reports/.probe-T1-shop.jsonl"
    assert watch.stop("shop") == (prober.out, 2, 0)
    assert prober.stopped == 1 and watch.stop("shop") is None


def test_what_fails_before_the_switch_is_the_reason_not_to(started: Callable[..., str | None]) -> None:
    assert started(sample(1), BAD) == "before the switch POST /x fails already: status 502 instead of 200"


def test_a_prober_that_cannot_begin_is_the_reason_not_to(
    monkeypatch: pytest.MonkeyPatch, started: Callable[..., str | None], probers: dict[str, Any]
) -> None:
    def cannot(self: Prober) -> None:
        raise probe.ProbeError("no CA")

    monkeypatch.setattr(Prober, "start", cannot)
    assert started(sample(1)) == "the prober cannot begin: no CA"
    assert probers == {}
