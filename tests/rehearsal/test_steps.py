"""Weighted steps on hosts: who meets which release, nothing lost, and a step that fails stays where it says."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from changeover import early
from rehearsal.load import beside, series
from tests import support
from tests.support import changeover, data, live, pyinfra, pyinfra_words, ssh, wait_for

SECRET = {"EARLY_SECRET": "a secret of the rehearsal"}
# The team's own tests have a test of their own; here they would only take their time.
TIMES = {
    "tasktracker.release.soak": "4s", "tasktracker.release.lease": "20s", "tasktracker.services.api.test": None
}  # fmt: skip
NO_5XX = {"name": "no_5xx", "source": {"probe": "5xx"}, "op": "==", "value": 0, "window": "5s", "min_samples": 5}
KEPT = "changeover_step_tasktracker"


def stepped(*steps, hold: str = "6s") -> dict:
    """Overrides with these steps; one that is a number has `hold`."""
    long = [{"who": {"percent": one}, "hold": hold} if isinstance(one, int) else one for one in steps]
    return {**TIMES, "tasktracker.release.steps": long, "tasktracker.release.early_secret": "EARLY_SECRET"}


@pytest.fixture(scope="module", autouse=True)
def without_steps_again(gateway, tmp_path_factory):
    """Begins on 1.1.0 or 1.1.1, and leaves a healthy system behind that goes live as its data say."""
    for release in ("1.1.0", "1.1.1"):
        changeover("edge1", f"unhold tasktracker {release}", check=False)
    if live()["release"]["live"] == "1.0.0":
        first = pyinfra("deploy.py", "-y", "--data", "release=1.1.0", *data(tmp_path_factory.mktemp("first"), TIMES))
        assert first.code == 0, first.text
    yield
    if live().get("weight"):
        changeover("edge1", "rollback tasktracker --no-hold", check=False)
    last = pyinfra("deploy.py", "-y")
    assert last.code == 0, last.text
    state = live()
    assert (state["lease"], state["weight"], state["pending"]) == (None, None, [])
    assert "set-cookie" not in gateway.get("/api/health").headers


def other() -> tuple[str, str]:
    """The release that is live, and the one to go to: both know the same schema."""
    now = live()["release"]["live"]
    return now, "1.1.1" if now == "1.1.0" else "1.1.0"


def release_of(client: httpx.Client, **headers: str) -> str:
    """The release that a client with these headers meets, of the page's own service too."""
    health = client.get("/api/health", headers=headers)
    assert client.get("/dashboard/", headers=headers).status_code == health.status_code == 200
    return health.json()["release"]


def part(number: int) -> dict[str, str]:
    """The headers of a client of this part of a hundred."""
    return {"cookie": f"{KEPT}={number}"}


@contextmanager
def deploying(release: str, words: list[str]) -> Iterator[subprocess.Popen]:
    """A deploy beside the test; it does not outlive it."""
    run = subprocess.Popen(
        pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *words), cwd=support.ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **SECRET},
    )  # fmt: skip
    try:
        yield run
    finally:
        if run.poll() is None:
            run.terminate()
            run.communicate(timeout=120)  # it goes back first


def at(percent: int, limit: float = 120) -> None:
    """Waits until this share of the clients is on the candidate."""
    wait_for(f"step {percent}", lambda: (live().get("weight") or {}).get("percent") == percent, limit)


def test_a_release_by_steps_loses_nothing(gateway, tmp_path):
    before, release = other()
    words = data(tmp_path, stepped({"who": {"teams": ["internal"]}, "hold": "6s"}, 5, 25, 50))
    knows = pyinfra("phases/gateway.py", "-y", *words, env=SECRET)  # other steps: a reload, which may cost a request
    assert knows.code == 0, knows.text
    token = early.signed(SECRET["EARLY_SECRET"], "tasktracker", "internal")
    limits = {"seconds": 240, "requests": 9_000}
    with (
        beside.load(tmp_path / "load.json", "--rate", "25", "--sockets", "5", **limits) as load,
        deploying(release, words) as run,
    ):
        at(0)
        chosen = release_of(gateway, **{early.HEADER: token}, **part(99))
        forged = release_of(gateway, **{early.HEADER: token[:-1] + "x"}, **part(0))
        at(25)
        seen = {number: release_of(gateway, **part(number)) for number in (0, 4, 5, 24, 25, 99)}
        said = changeover("app2", "status tasktracker")
        text = run.communicate(timeout=200)[0]
        time.sleep(1)
    assert run.returncode == 0, text
    assert (chosen, forged) == (release, before)
    assert seen == {0: release, 4: release, 5: release, 24: release, 25: before, 99: before}
    assert f"step        25 % of the clients are on {release}, the others on {before}" in said
    result = load.result
    assert result["failed"] == 0, (result["failures"], series.failures(load.series))
    assert result["rows"]["ok"], result["rows"]
    assert "0 of " in text and "requests failed, from before the switch on" in text
    assert live()["release"]["live"] == release and live()["weight"] is None
    again = pyinfra("deploy.py", "-y", "--json", *words, env=SECRET)
    assert again.code == 0 and again.changes == 0, again.text


@pytest.mark.late
def test_a_step_that_fails_stays_at_the_one_before_and_is_gone_on_with(gateway, tmp_path):
    before, release = other()
    slot = "green" if live()["slots"]["api"]["live"] == "blue" else "blue"
    steps = stepped(1, 5, {"who": {"percent": 25}, "hold": "20s", "on_fail": "previous"}, hold="2s")
    words = data(tmp_path, steps)
    with deploying(release, words) as run:
        at(25)
        ssh("app2", f"docker stop -t 1 tasktracker-api-{slot}-1")
        text = run.communicate(timeout=120)[0]
    assert run.returncode == 1 and "Traceback" not in text, text
    assert f"api-{slot} on app2 is not up" in text and "step 25 % failed (on_fail: previous)" in text
    assert f"5 % of the clients are on {release}, the others on {before}" in text
    assert "to go on from this step: run the same deploy again" in text
    assert "to go back, on edge1: sudo changeover rollback tasktracker" in text
    state = live()
    assert state["weight"]["percent"] == 5 and state["lease"] is None and release not in state["held"]
    assert (release_of(gateway, **part(4)), release_of(gateway, **part(5))) == (release, before)

    other_one = pyinfra("deploy.py", "-y", *words, env=SECRET)
    assert other_one.code == 1 and f"a release to {release} is paused at 5 % of its clients" in other_one.text
    assert live() == state, "nothing was touched"

    with deploying(release, data(tmp_path, {**steps, "tasktracker.release.soak": "3s"})) as run:
        at(25)
        text = run.communicate(timeout=120)[0]
    assert run.returncode == 0, text
    assert "step 5 %" in text and "step 1 %" not in text, "it went on from where it stood"
    assert live()["release"]["live"] == release and live()["weight"] is None


@pytest.mark.late
def test_a_gate_that_fails_at_a_step_sends_all_back(gateway, tmp_path):
    """1.2.0 answers some requests with an error: 5 % are let pass by, and 25 % are judged."""
    before, _ = other()
    steps = stepped(
        {"who": {"percent": 5}, "hold": "2s", "gates": []}, {"who": {"percent": 25}, "hold": "60s", "gates": ["no_5xx"]}
    )
    more = {"tasktracker.release.max_failed": 100_000, "tasktracker.gates": [NO_5XX], "tasktracker.release.soak": "30s"}
    broken = {"tasktracker.services.api.env.BROKEN_AFTER": "1"}
    with deploying("1.2.0", data(tmp_path, {**steps, **more, **support.UNTESTED, **broken})) as run:
        at(25)
        text = run.communicate(timeout=200)[0]
    assert run.returncode == 1 and "Traceback" not in text, text
    assert "gate no_5xx:" in text and f"tasktracker is back on {before} (from 1.2.0)" in text
    assert "step 5 %" in text
    state = live()
    assert state["release"]["live"] == before and state["weight"] is None and "no_5xx" in state["held"]["1.2.0"]
    changeover("edge1", "unhold tasktracker 1.2.0")
