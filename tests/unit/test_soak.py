"""The soak: until it is over the lease is renewed, and prober and hosts are asked whether the release stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plans import on_all
from watching import BAD, Prober, sample, shop

from operations import flow, watch

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
        self.recovered = 0

    def __call__(self, verb: str, system: str, *words: str) -> tuple[bool, list[str]]:
        if verb == "recover":
            self.recovered += 1
            return True, []
        assert system == "shop" and words == (("--txn", "T1", "--json") if verb == "renew" else ("--json",))
        if verb == "renew":
            return self.renew()
        said = self.status()
        return (True, [json.dumps(said)]) if said else (False, ["edge1 does not answer"])


def at_once(look: Callable[[], None]) -> None:
    """A look that no host keeps waiting."""
    look()


def soak(command: HostCommand, **release: Any) -> list[str]:
    return watch.soak(shop(on_all("shop.release", {**RELEASE, **release})), "shop", command, "T1", spawn=at_once)


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


def test_a_person_is_told_how_far_it_is(
    probers: dict[str, Any], clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[float, str] = {}
    monkeypatch.setattr(flow, "DOING", {})
    monkeypatch.setattr(watch, "SEEN", {})
    probers["shop"] = Prober(tmp_path / "p", sample(1))

    def status() -> Any:
        told[clock[0] - 1000] = flow.DOING["shop"]
        return STATUS

    assert soak(HostCommand(status=status)) == []
    assert told[0] == "60 s under watch left; lease 30 s"
    assert told[6] == "54 s under watch left; 0 of 1 probes failed; lease 24 s"
    assert told[60] == "0 s under watch left; 0 of 1 probes failed; lease 30 s"


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


class Waiting:
    """A look that waits for a silent host, for good."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.killed = False

    def kill(self, block: bool) -> None:
        self.killed = not block


def test_a_host_that_is_silent_keeps_nobody_else_waiting(
    probers: dict[str, Any], clock: list[float], tmp_path: Path
) -> None:
    prober = probers["shop"] = Prober(tmp_path / "p", sample(1))
    looks: list[Waiting] = []

    def renew() -> tuple[bool, list[str]]:
        if clock[0] >= 1020:
            prober.write(sample(1), BAD)
        return True, []

    def spawn(look: Callable[[], None]) -> Waiting:
        looks.append(Waiting(look))
        return looks[-1]

    plan = shop(on_all("shop.release", RELEASE))
    assert watch.soak(plan, "shop", HostCommand(renew), "T1", spawn=spawn)[0] == "1 of 2 probes failed (limit 0)"
    assert clock[0] <= 1020 + watch.EVERY
    assert len(looks) == 1 and looks[0].killed, "not doubled, and not left behind"


def test_a_look_of_which_nothing_is_known_is_a_reason(clock: list[float]) -> None:
    def broken(*words: str) -> tuple[bool, list[str]]:
        if words[0] == "status":
            raise OSError("no file can be opened")
        return True, []

    plan = shop(on_all("shop.release", RELEASE))
    assert watch.soak(plan, "shop", broken, "T1", spawn=at_once) == [
        "the containers cannot be looked at any more: OSError: no file can be opened"
    ]


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


def test_one_silence_at_a_renewal_is_no_reason_while_the_lease_lasts(clock: list[float]) -> None:
    silent = (False, ["edge1 does not answer: within 60 s"])
    assert soak(HostCommand(lambda: silent if 1010 <= clock[0] < 1015 else (True, []))) == []
    clock[0] = 1000
    assert soak(HostCommand(lambda: silent)) == ["the lease could not be renewed: edge1 does not answer: within 60 s"]
    assert 1030 <= clock[0] <= 1030 + watch.EVERY, "the lease of 30 s is over"


def test_a_host_that_is_silent_is_asked_again_soon(clock: list[float]) -> None:
    """Three looks in a row, each of which waits for it itself, and not the pause between two looks as well."""
    gone = {**STATUS, "hosts": {"edge1": EDGE, "app1": UP, "app2": {"reachable": False, "error": "app2: no route"}}}
    assert soak(HostCommand(status=lambda: STATUS if clock[0] < 1020 else gone)) == [
        "app2 does not answer any more: app2: no route"
    ]
    assert clock[0] <= 1020 + watch.LOOK + watch.EVERY + 2 * watch.SOON


def test_a_host_that_is_owed_something_is_told_again_before_it_is_judged(clock: list[float]) -> None:
    debt = {"pending": [{"host": "app2", "services": ["api"], "why": "app2: busy"}]}
    command = HostCommand(status=lambda: {**STATUS, **({} if command.recovered else debt)})
    assert soak(command) == [] and command.recovered == 1
    command = HostCommand(status=lambda: {**STATUS, **debt})
    assert soak(command) == ["app2 did not do what it was told, and does not yet: app2: busy"]
    assert command.recovered == 3


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
    assert watch.soak(plan, "shop", ask, "T1", spawn=at_once) == ["api-blue on app2 is not up: Restarting (1)"]
