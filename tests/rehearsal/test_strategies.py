"""Host by host, or stopped in between: what users see of rolling and recreate, and how each goes back by itself."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from rehearsal.load import beside, series
from tests import support
from tests.support import UNTESTED, changeover, data, live, pyinfra, pyinfra_words, ssh, wait_for

# The team's own tests have a test of their own; here they would only take their time.
TIMES = {
    "tasktracker.release.soak": "4s", "tasktracker.release.lease": "15s", "tasktracker.services.api.test": None
}  # fmt: skip
ROLLING = {**TIMES, "tasktracker.release.strategy": "rolling", "tasktracker.release.pause": "3s"}
RECREATE = {**TIMES, "tasktracker.release.strategy": "recreate"}
NEVER = {"http": "/api/health/detailed", "json": {"status": "never"}, "timeout": "3s"}
READY = "tasktracker.services.api.ready"
START = 25  # seconds that the old containers may take to stop the new ones, start and be healthy


@pytest.fixture(scope="module", autouse=True)
def blue_green_again(gateway, tmp_path_factory):
    """Begins on 1.1.0 or 1.1.1, and leaves a healthy system behind that goes live as its data say."""
    for release in ("1.1.0", "1.1.1", "1.2.0"):
        changeover("edge1", f"unhold tasktracker {release}", check=False)
    if live()["release"]["live"] == "1.0.0":
        first = pyinfra("deploy.py", "-y", "--data", "release=1.1.0", *data(tmp_path_factory.mktemp("first"), TIMES))
        assert first.code == 0, first.text
    yield
    for release in ("1.1.0", "1.1.1", "1.2.0"):
        changeover("edge1", f"unhold tasktracker {release}", check=False)
    last = pyinfra("deploy.py", "-y")
    assert last.code == 0, last.text
    serves(gateway, live()["release"]["live"])


@pytest.fixture(autouse=True)
def nothing_left_half_way(gateway):
    yield
    state = live()
    assert (state["lease"], state["opened"], state["rolled"], state["pending"]) == (None, None, [], [])
    serves(gateway, state["release"]["live"])


def serves(client: httpx.Client, release: str) -> None:
    """Every answer is of one release, and nothing shows a page."""
    answers = [client.get("/api/v1/topics?limit=1") for _ in range(4)] + [client.get("/api/health") for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["release"] for answer in answers[4:]} == {release}


def other() -> tuple[str, str]:
    """The release that is live, and the one to go to: both know the same schema."""
    now = live()["release"]["live"]
    return now, "1.1.1" if now == "1.1.0" else "1.1.0"


@dataclass
class Seen:
    """What somebody who asks ten times a second was answered: (seconds, status, Retry-After) of a page, releases."""

    pages: list[tuple[float, int, str | None]] = field(default_factory=list)
    health: list[tuple[float, int, str | None]] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    assets: set[int] = field(default_factory=set)
    closed: int = 0

    def statuses(self) -> set[int]:
        return {status for _, status, _ in self.pages}

    def page(self) -> float:
        """Seconds from the first to the last page that was seen."""
        times = [at for at, status, _ in self.pages if status == 503]
        return max(times) - min(times)


def get(client: httpx.Client, path: str, seen: Seen) -> httpx.Response:
    """Asks once more where an idle connection was just closed, as browsers do; how often is counted."""
    try:
        return client.get(path)
    except httpx.RemoteProtocolError:
        seen.closed += 1
        return client.get(path)


@contextmanager
def looking(client: httpx.Client) -> Iterator[Seen]:
    """Asks a route, the application's health and the gateway's own, one after the other, until the end."""
    seen, stop = Seen(), threading.Event()
    link = re.search(r'href="(assets/[^"]+)"', client.get("/dashboard/").text)
    assert link
    asset = f"/dashboard/{link[1]}"

    def ask() -> None:
        while not stop.wait(0.05):
            for path, into in (("/api/v1/topics?limit=1", seen.pages), ("/api/health", seen.health)):
                answer = get(client, path, seen)
                into.append((time.monotonic(), answer.status_code, answer.headers.get("retry-after")))
            seen.own.add(get(client, "/nginx-health", seen).status_code)
            # The query changes, so that nothing comes from the cache.
            seen.assets.add(get(client, f"{asset}?{time.monotonic()}", seen).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(15)
    assert seen.closed <= 1, "another strategy reloads the gateway, once"


def test_a_rolling_release_goes_host_by_host_and_loses_nothing(gateway, tmp_path):
    before, release = other()
    words = data(tmp_path, ROLLING)
    said: list[str] = []
    gateway_knows = pyinfra("phases/gateway.py", "-y", *words)  # another strategy: a reload, which may cost a request
    assert gateway_knows.code == 0, gateway_knows.text
    with beside.load(tmp_path / "load.json", "--rate", "25", "--sockets", "5", seconds=200, requests=8_000) as load:
        run = subprocess.Popen(
            pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *words),
            cwd=support.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_for("the first host's turn", lambda: live()["rolled"] == ["app1"], 120)
        both = {gateway.get("/api/health").json()["release"] for _ in range(20)}
        said.append(changeover("edge1", "status tasktracker"))
        said.append(run.communicate(timeout=200)[0])
        time.sleep(1)
    assert run.returncode == 0, said[-1]
    assert both == {before, release}, "in the middle users meet both"
    assert f"1 of 3 hosts serve {release}: app1" in said[0]
    result = load.result
    assert result["failed"] == 0, (result["failures"], series.failures(load.series))
    assert result["rows"]["ok"], result["rows"]
    assert live()["release"]["live"] == release and live()["release"]["previous"] == before


@contextmanager
def port_taken(host: str, port: int) -> Iterator[None]:
    """Somebody else's program listens on a port of a host."""
    address = support.status()["hosts"][host]["address"]
    ssh(host, f"systemd-run --quiet --collect --unit=in-the-way python3 -m http.server {port} --bind {address}")
    try:
        yield
    finally:
        ssh(host, "systemctl stop in-the-way", check=False)


@pytest.mark.late
def test_a_rolling_release_whose_second_host_does_not_start_goes_back(gateway, tmp_path):
    before, release = other()
    idle = 18001 if live()["slots"]["api"]["live"] == "blue" else 18000
    ssh("app2", f"docker rm -f tasktracker-api-{'green' if idle == 18001 else 'blue'}-1", check=False)
    words = data(tmp_path, {**ROLLING, "tasktracker.release.pause": "8s"})
    with looking(gateway) as seen:
        run = subprocess.Popen(
            pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *words),
            cwd=support.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_for("the first host's turn", lambda: live()["rolled"] == ["app1"], 120)
        with port_taken("app2", idle):  # before the deploy, preflight would have seen it
            text = run.communicate(timeout=200)[0]
    assert run.returncode == 1, text
    assert f"app1 serves {release}" in text, "the first host had its turn"
    assert str(idle) in text and "Traceback" not in text
    assert f"tasktracker is back on {before}" in text and "its traffic is on the release before" in text
    assert seen.statuses() == {200}
    assert live()["release"]["live"] == before and release not in live()["held"]


@pytest.mark.late
def test_a_rolling_release_that_breaks_on_the_first_host_goes_back_and_is_held(gateway, tmp_path):
    before, _ = other()
    words = data(tmp_path, {**ROLLING, **UNTESTED, "tasktracker.services.api.env.BROKEN_AFTER": "1"})
    run = pyinfra("deploy.py", "-y", "--data", "release=1.2.0", *words)
    assert run.code == 1
    assert "probes failed (limit 0)" in run.text and f"tasktracker is back on {before} (from 1.2.0)" in run.text
    assert live()["release"]["live"] == before and "probes failed" in live()["held"]["1.2.0"]


def test_a_recreated_release_is_a_page_and_then_the_new_one(gateway, tmp_path):
    before, release = other()
    with looking(gateway) as seen:
        run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, RECREATE))
    assert run.code == 0, run.text
    assert seen.statuses() == {200, 503}, "the page, and nothing else"
    assert {after for _, status, after in seen.pages if status == 503} == {"60"}
    assert seen.own == {200} and {status for _, status, _ in seen.health} <= {200, 503}
    assert seen.assets - {404} <= {200, 503}, "404: this release has another, and the page is not asked for it"
    said = re.search(r"the maintenance page was on for (\d+\.\d) s", run.text)
    assert said and abs(float(said[1]) - seen.page()) < 3, (said, seen.page())
    assert live()["release"]["live"] == release
    for host in ("app1", "app2"):
        names = ssh(host, "docker ps --format {{.Names}} | grep tasktracker-api").splitlines()
        assert names == [f"tasktracker-api-{live()['slots']['api']['live']}-1"], "the old one is stopped"
    with looking(gateway) as seen:
        assert f"is back on {before}" in changeover("app1", "rollback tasktracker --no-hold --why 'a test'")
    assert seen.statuses() <= {200, 503} and seen.own == {200}


@pytest.mark.late
def test_a_recreated_release_that_is_never_ready_goes_back(gateway, tmp_path):
    before, release = other()
    with looking(gateway) as seen:
        run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, {**RECREATE, READY: NEVER}))
    assert run.code == 1 and "is not ready after 3 s" in run.text
    assert f"tasktracker is back on {before} (from {release})" in run.text
    assert "its traffic is on the release before" in run.text and "Traceback" not in run.text
    assert seen.statuses() == {200, 503}
    assert live()["release"]["live"] == before and release not in live()["held"]


@pytest.mark.late
def test_a_control_machine_killed_while_it_is_open_leaves_the_old_release(gateway, tmp_path):
    before, release = other()
    run = subprocess.Popen(
        pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, {**RECREATE, READY: NEVER})),
        cwd=support.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for("the page", lambda: live()["opened"], 120)
    assert gateway.get("/api/v1/topics").status_code == 503
    assert "recreate" in changeover("app2", "status tasktracker")
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    killed = time.monotonic()
    wait_for("the old release", lambda: gateway.get("/api/v1/topics?limit=1").status_code == 200, 15 + 5 + START)
    assert time.monotonic() - killed <= 15 + 5 + START
    wait_for("the end of the way back", lambda: live()["lease"] is None, 30)
    changeover("edge1", "lock tasktracker break", check=False)
    changeover("edge1", "lock hello break", check=False)
    serves(gateway, before)
