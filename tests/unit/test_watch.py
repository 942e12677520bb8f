"""A release under watch: what the prober asks, what its answers mean, and how the lease is kept alive."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plans import Hosts, good, on_all, staging_hosts

from changeover import fleet, probe
from changeover.live import Live
from changeover.plan import Plan
from changeover.probe import Sample
from operations import watch

Change = Callable[[Hosts], None]
T = "2026-11-21T14:03:0{}.000Z"


def shop(*changes: Change) -> Plan:
    hosts = good()
    for change in changes:
        change(hosts)
    return fleet.load(hosts)


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


def sample(second: int = 0, **changes: Any) -> Sample:
    return Sample(**{"t": T.format(second), "kind": "h1", "method": "GET", "path": "/x", "ms": 9.0, **changes})


class Prober:
    """A prober that wrote these samples and runs on, or not."""

    def __init__(self, out: Path, *samples: Sample, running: bool = True):
        self.out, self.running, self.stopped = out, running, 0
        self.write(*samples)

    def write(self, *samples: Sample) -> None:
        self.out.write_text("".join(one.line() + "\n" for one in samples))

    def start(self) -> None:
        pass

    def stop(self) -> dict[str, Any]:
        self.stopped += 1
        return probe.summary(probe.read(self.out))


@pytest.fixture
def probers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    monkeypatch.setattr(watch, "PROBERS", found)
    yield found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """[now]: seconds that pass only when somebody sleeps."""
    now = [1000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


BAD = sample(3, error="status 502 instead of 200", status=502, slot="green", method="POST")


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


# --- the soak

RELEASE = {"lease": "30s", "soak": "60s"}


UP = {"reachable": True, "containers": {"api-blue": {"state": "running", "healthy": True, "status": "Up 9 minutes"}}}
EDGE = {"reachable": True, "containers": {}}
STATUS = {"slots": {"api": {"live": "blue"}}, "hosts": {"edge1": EDGE, "app1": UP, "app2": UP}}


class HostCommand:
    """Answers as the coordinator's host command does: renewals by `renew`, looks by `status`."""

    def __init__(
        self,
        renew: Callable[[], tuple[bool, list[str]]] = lambda: (True, []),
        status: Callable[[], Any] = lambda: STATUS,
    ) -> None:
        self.renew, self.status = renew, status

    def __call__(self, verb: str, system: str, *words: str) -> tuple[bool, list[str]]:
        assert system == "shop" and words == (("--txn", "T1", "--json") if verb == "renew" else ("--json",))
        if verb == "renew":
            return self.renew()
        said = self.status()
        return (True, [json.dumps(said)]) if said else (False, ["edge1 does not answer"])


def soak(command: HostCommand, **release: Any) -> list[str]:
    return watch.soak(shop(on_all("shop.release", {**RELEASE, **release})), "shop", command, "T1")


def test_the_lease_is_renewed_every_third_of_it_until_the_soak_is_over(
    probers: dict[str, Any], clock: list[float], tmp_path: Path
) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1))
    renewed: list[float] = []

    def renew() -> tuple[bool, list[str]]:
        renewed.append(clock[0] - 1000)
        return True, []

    assert soak(HostCommand(renew)) == []
    assert renewed == [0, 10, 20, 30, 40, 50, 60]
    assert clock[0] - 1000 >= 60


def test_a_failure_ends_the_soak_at_once(probers: dict[str, Any], clock: list[float], tmp_path: Path) -> None:
    prober = probers["shop"] = Prober(tmp_path / "p", sample(1))

    def renew() -> tuple[bool, list[str]]:
        if clock[0] >= 1020:
            prober.write(sample(1), BAD)
        return True, []

    reasons = soak(HostCommand(renew))
    assert reasons[0] == "1 of 2 probes failed (limit 0)" and clock[0] == 1020


def test_a_failure_is_acted_on_before_hosts_are_asked(
    probers: dict[str, Any], clock: list[float], tmp_path: Path
) -> None:
    """A look waits for hosts that are silent, and users wait for the way back meanwhile."""
    probers["shop"] = Prober(tmp_path / "p", BAD)
    asked: list[float] = []
    assert soak(HostCommand(status=lambda: asked.append(clock[0]) or STATUS))
    assert asked == []


def test_failures_that_are_allowed_pass(probers: dict[str, Any], clock: list[float], tmp_path: Path) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1), BAD)
    assert soak(HostCommand(), max_failed=1) == []


def test_a_lease_that_cannot_be_renewed_is_a_reason(
    probers: dict[str, Any], clock: list[float], tmp_path: Path
) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1))
    refused = {"code": 4, "error": "no switch T1 waits to be confirmed", "next": "changeover status shop"}
    answers = iter([(True, []), (False, [json.dumps(refused)])])
    assert soak(HostCommand(lambda: next(answers))) == [
        "the lease could not be renewed: no switch T1 waits to be confirmed next: changeover status shop"
    ]
    assert clock[0] == 1010, "at the first renewal that failed"


BUSY = (False, [json.dumps({"code": 3, "error": "shop is busy: recover by changeover", "next": "wait"})])


def test_that_somebody_is_at_work_is_no_reason_while_the_lease_lasts(clock: list[float]) -> None:
    assert soak(HostCommand(lambda: BUSY if 1010 <= clock[0] < 1028 else (True, []))) == []
    clock[0] = 1000
    assert soak(HostCommand(lambda: BUSY if clock[0] >= 1010 else (True, []))) == [
        "the lease could not be renewed: shop is busy: recover by changeover next: wait"
    ]
    assert 1030 <= clock[0] <= 1030 + watch.EVERY, "the lease of 30 s, renewed at 1000, is over"


def test_a_coordinator_that_is_silent_cannot_renew(clock: list[float]) -> None:
    assert soak(HostCommand(lambda: (False, ["edge1 does not answer: within 60 s"]))) == [
        "the lease could not be renewed: edge1 does not answer: within 60 s"
    ]


def test_a_soak_shorter_than_a_look_still_looks(probers: dict[str, Any], clock: list[float], tmp_path: Path) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(1), BAD)
    assert soak(HostCommand(), lease="30s", soak="1s")


def with_app2(**container: Any) -> dict[str, Any]:
    said = {**UP["containers"]["api-blue"], **container}  # type: ignore[index]
    app2 = {"reachable": True, "containers": {"api-blue": said}}
    return {**STATUS, "hosts": {"edge1": EDGE, "app1": UP, "app2": app2}}


def test_a_container_that_no_probe_sees_ends_the_soak_too(clock: list[float]) -> None:
    """One of two hosts: the gateway passes it over, so users and prober see nothing of it. No prober is needed."""

    def status() -> dict[str, Any]:
        return STATUS if clock[0] < 1020 else with_app2(healthy=False, state="restarting", status="Restarting (1)")

    assert soak(HostCommand(status=status)) == ["api-blue on app2 is not up: Restarting (1)"]
    assert 1020 <= clock[0] <= 1020 + watch.LOOK + watch.EVERY


def test_what_is_not_healthy_when_the_soak_is_over_gets_its_start_timeout(clock: list[float]) -> None:
    def status() -> dict[str, Any]:
        starting = with_app2(healthy=False, status="Up 5 seconds (health: starting)")
        return starting if clock[0] < 1090 else STATUS

    assert soak(HostCommand(status=status)) == []
    assert 1090 <= clock[0] < 1100
    clock[0] = 1000
    never = with_app2(healthy=False, status="Up 5 seconds (health: starting)")
    assert soak(HostCommand(status=lambda: never)) == ["api-blue on app2 is not healthy after 120 s (start_timeout)"]


@pytest.mark.parametrize("host", ["app2", "edge1"])  # a gateway too, where it runs no service of the system
def test_a_host_that_is_silent_when_the_soak_is_over_is_not_passed_over(clock: list[float], host: str) -> None:
    """It went away in the last seconds: too few looks to give it up, and too few to confirm without it."""
    silent = {**STATUS, "hosts": {**STATUS["hosts"], host: {"reachable": False, "error": "no route"}}}  # type: ignore[dict-item]
    reasons = soak(HostCommand(status=lambda: STATUS if clock[0] < 1056 else silent))
    assert reasons == [f"{host} does not answer any more: no route"]
    assert clock[0] < 1090


def test_a_host_that_answers_again_after_the_soak_is_confirmed_with(clock: list[float]) -> None:
    silent = {**STATUS, "hosts": {**STATUS["hosts"], "app2": {"reachable": False, "error": "e"}}}  # type: ignore[dict-item]
    assert soak(HostCommand(status=lambda: silent if 1056 <= clock[0] < 1061 else STATUS)) == []


def test_what_is_never_healthy_in_a_long_soak_is_not_waited_for_until_its_end(clock: list[float]) -> None:
    never = with_app2(healthy=False, status="Up 5 minutes (unhealthy)")
    reasons = soak(HostCommand(status=lambda: never), soak="1h")
    assert reasons == ["api-blue on app2 is not healthy after 120 s (start_timeout)"] and clock[0] < 1130


@pytest.mark.parametrize("said", [None, {"error": "state.json is damaged"}])
def test_a_release_is_not_confirmed_unseen(clock: list[float], said: Any) -> None:
    """A coordinator that renews, but does not say what runs, may miss a look or two, as a host may."""
    (reason,) = soak(HostCommand(status=lambda: said))
    assert reason.startswith("the coordinator does not say what runs any more: ")
    assert clock[0] <= 1000 + 3 * (watch.LOOK + watch.EVERY)
    clock[0] = 1000
    (reason,) = soak(HostCommand(status=lambda: STATUS if clock[0] < 1056 else said))
    assert clock[0] < 1080, "in the last seconds of the soak: too few looks to give it up, and too few to confirm"
    clock[0] = 1000
    assert soak(HostCommand(status=lambda: said if 1056 <= clock[0] < 1061 else STATUS)) == []


def test_a_banner_before_the_answer_hides_nothing(clock: list[float]) -> None:
    command = HostCommand(status=lambda: with_app2(healthy=False, state="restarting", status="Restarting (1)"))

    def ask(*words: str) -> tuple[bool, list[str]]:
        done, lines = command(*words)
        return done, ["Authorised use only!", *lines]

    plan = shop(on_all("shop.release", RELEASE))
    assert watch.soak(plan, "shop", ask, "T1") == ["api-blue on app2 is not up: Restarting (1)"]


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
