"""Faults of a release: whatever breaks, one release serves everywhere, the old one unless the new one was confirmed."""

import json
import signal
import subprocess
import time

import httpx
import pytest

from rehearsal.faults.deploy import Deploy
from tests import support
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, UNTESTED, changeover, data, live, pyinfra, pyinfra_words, ssh, wait_for

QUICK = {"tasktracker.release.soak": "12s", "tasktracker.release.lease": "15s"}
IN_HAND = 3  # probes that a container may have had when it was killed


@pytest.fixture(autouse=True)
def one_release_live(gateway, tmp_path):  # noqa: F811
    """Begins on 1.1.0 or 1.1.1, with nothing held; ends with exactly one release serving, and nothing open."""
    for release in ("1.1.0", "1.1.1", "1.2.0"):
        changeover("edge1", f"unhold tasktracker {release}", check=False)
    if live()["release"]["live"] == "1.0.0":
        first = pyinfra("deploy.py", "-y", "--data", "release=1.1.0", *data(tmp_path, QUICK))
        assert first.code == 0, first.text
    if served(gateway) != live()["release"]["live"]:
        pytest.fail("the gateway does not serve what the hosts say is live, before the fault")
    yield
    for system in ("tasktracker", "hello"):  # what a killed run held would expire by itself in a minute
        changeover("edge1", f"lock {system} break", check=False)
    changeover("edge1", "recover tasktracker", check=False)
    state = live()
    assert state["lease"] is None and state["pending"] == []
    assert {served(gateway) for _ in range(10)} == {state["release"]["live"]}
    assert all(live(host=host)["generation"] == state["generation"] for host in ("app1", "app2", "data1"))
    assert "broken" not in changeover("edge1", "audit tasktracker --verify")


def served(client: httpx.Client) -> str:
    """The release that answers through the gateway."""
    return client.get("/api/health").json()["release"]


def other(release: str) -> str:
    """The release to go to: both know the same schema."""
    return "1.1.1" if release == "1.1.0" else "1.1.0"


def test_a_release_that_breaks_after_the_switch_goes_back_and_is_held(gateway, tmp_path):  # noqa: F811
    before = live()
    words = data(tmp_path, {**QUICK, **UNTESTED, "tasktracker.services.api.env.BROKEN_AFTER": "1"})
    run = pyinfra("deploy.py", "-y", "--data", "release=1.2.0", *words)
    assert run.code == 1
    assert "probes failed (limit 0)" in run.text
    assert f"tasktracker is back on {before['release']['live']}" in run.text
    assert "its traffic is on the release before" in run.text
    assert "Traceback" not in run.text
    assert live()["release"]["live"] == before["release"]["live"]
    made = json.loads((ROOT / "reports" / "latest" / "record.json").read_text())
    assert made["outcome"] == "rolled_back" and made["probe"]["failed"] > 0
    again = pyinfra("deploy.py", "-y", "--data", "release=1.2.0", *words)
    assert again.code == 1 and "1.2.0 is held" in again.text


def test_one_host_that_crashes_in_the_soak_goes_back_though_few_users_saw_it(gateway, tmp_path):  # noqa: F811
    """The gateway passes the broken host over: only what it had in hand fails, and that alone may pass here.

    What the hosts say of their containers sends the release back.
    """
    before = live()
    release = other(before["release"]["live"])
    settings = {**QUICK, "tasktracker.release.soak": "60s", "tasktracker.release.max_failed": IN_HAND}
    run = Deploy(tmp_path, release, settings, support.STAGING)
    run.wait_for("is watched")  # after the smoke tests
    time.sleep(10)  # it has looked once
    ssh("app2", f"docker exec tasktracker-api-{live()['slots']['api']['live']}-1 sh -c 'kill -9 -1'", check=False)
    assert run.wait(120) == 1, run.text
    assert "on app2 was healthy, and has started again since" in run.text or "on app2 is not up" in run.text
    assert served(gateway) == before["release"]["live"]
    assert live()["held"].get(release), "what was judged is held"
    made = json.loads((ROOT / "reports" / "latest" / "record.json").read_text())
    assert made["outcome"] == "rolled_back" and made["probe"]["failed"] <= IN_HAND


def test_a_worker_that_crashes_in_the_soak_goes_back(gateway, tmp_path):  # noqa: F811
    before = live()
    lives_a_while = "for i in $(seq 20); do touch /tmp/alive; sleep 1; done; echo out of luck; exit 3"
    soak = {**QUICK, "tasktracker.release.soak": "60s"}
    words = {**soak, "tasktracker.services.worker.command": ["sh", "-c", lives_a_while]}
    release = other(before["release"]["live"])
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, words))
    assert run.code == 1, run.text
    assert "worker-" in run.text and ("has started again since" in run.text or "is not up" in run.text)
    assert live()["release"]["live"] == before["release"]["live"]


def test_a_slot_that_never_gets_ready_is_never_switched_to(gateway, tmp_path):  # noqa: F811
    before = live()
    never = {"http": "/api/health/detailed", "json": {"status": "never"}, "timeout": "3s"}
    words = data(tmp_path, {**QUICK, "tasktracker.services.api.ready": never})
    release = other(before["release"]["live"])
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *words)
    assert run.code == 1
    assert 'must say 200 and {"status": "never"}' in run.text and "is not ready after 3 s" in run.text
    assert live()["generation"] == before["generation"]


def test_an_image_that_is_not_in_the_registry(gateway, tmp_path):  # noqa: F811
    before = live()
    run = pyinfra("deploy.py", "-y", "--data", "release=9.9.9", *data(tmp_path, QUICK))
    assert run.code == 1
    assert "tasktracker/api:9.9.9" in run.text and "Traceback" not in run.text
    assert live()["generation"] == before["generation"]


def test_two_deploys_at_once_are_one(gateway, tmp_path):  # noqa: F811
    release = other(live()["release"]["live"])
    words = pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, QUICK))
    first = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for("the lock", lambda: "held" in changeover("edge1", "lock tasktracker show"), 60)
    second = pyinfra("deploy.py", "-y")
    printed = first.communicate(timeout=300)[0].decode()
    assert first.returncode == 0, printed
    assert served(gateway) == release
    assert second.code == 1 and "tasktracker is locked by" in second.text


def test_control_machine_killed_in_the_soak_goes_back_within_the_lease(gateway, tmp_path):  # noqa: F811
    """Nobody is left to decide: the coordinator's own timer takes the traffic back. Until then nobody says `done`."""
    before = live()
    release = other(before["release"]["live"])
    words = data(tmp_path, {**QUICK, "tasktracker.release.soak": "10m", "tasktracker.release.lease": "30s"})
    run = subprocess.Popen(
        pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *words),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for("the switch", lambda: served(gateway) == release, 180)
    time.sleep(3)
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    killed = time.monotonic()
    again = pyinfra("deploy.py", "-y", "--data", f"release={release}", *words)
    assert again.code == 1 and "is not confirmed yet, and no run holds its lock" in again.text, again.text
    wait_for("the old release", lambda: served(gateway) == before["release"]["live"], 30 + 5)
    assert time.monotonic() - killed <= 30 + 5
    wait_for("the end of the lease", lambda: live()["lease"] is None, 30)


def test_on_call_goes_back_without_the_control_machine(gateway, tmp_path):  # noqa: F811
    """One command on any host; the old slot is warm, so it is quick; and it counts on the old slot itself."""
    before = live()
    release = other(before["release"]["live"])
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *data(tmp_path, QUICK))
    assert run.code == 0, run.text
    assert "sudo changeover rollback tasktracker" in run.text
    began = time.monotonic()
    said = changeover("app2", "rollback tasktracker --why 'a test'")
    assert time.monotonic() - began < 30
    assert f"is back on {before['release']['live']}" in said
    assert served(gateway) == before["release"]["live"]
    again = pyinfra("deploy.py", "-y", "--json")
    assert again.code == 0, again.text
    assert live()["release"]["live"] == before["release"]["live"], "a deploy without release= keeps what is live"
