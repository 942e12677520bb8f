"""A recreate that ends half-way, while nothing serves: the old release comes back, never beside a schema change."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.test_release import one_release_live, other, served  # noqa: F401  (one is a fixture)
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, changeover, data, live, pyinfra, pyinfra_words, ssh, wait_for

RECREATE = {
    "tasktracker.release.strategy": "recreate", "tasktracker.release.soak": "4s", "tasktracker.release.lease": "15s",
    "tasktracker.services.api.test": None,
}  # fmt: skip
MIGRATION = "srv-tasktracker-migrate"
START = 40  # seconds that the old containers may take to stop the new ones, start and be healthy
RETRY = 30  # seconds between two attempts at a way back that had to wait
HELD = 150  # seconds at most for which the migration stands still

pytestmark = pytest.mark.matrix


@pytest.fixture(autouse=True, scope="module")
def blue_green_again():
    """A gateway that knows of a recreate is told by the next plain deploy that there is none any more."""
    yield
    last = pyinfra("deploy.py", "-y")
    assert last.code == 0, last.text


@contextmanager
def recreating(release: str, words: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A deploy of a release that stops the old one first; it has ended at the end."""
    run = subprocess.Popen(
        pyinfra_words("deploy.py", "-y", "--data", f"release={release}", *words),
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield run
    finally:
        run.kill()
        run.communicate(timeout=30)


@contextmanager
def hanging() -> Iterator[None]:
    """The migration stands still as soon as it has begun, for HELD s at most."""
    pause = f"until docker pause {MIGRATION}; do sleep 0.1; done; sleep {HELD}; docker unpause {MIGRATION}"
    ssh("app1", f'systemd-run --quiet --collect --unit=hang --property=RuntimeMaxSec=400 sh -c "{pause}"')
    try:
        yield
    finally:
        goes_on()


def goes_on() -> None:
    """The migration moves again."""
    ssh("app1", "systemctl stop hang", check=False)
    ssh("app1", f"docker unpause {MIGRATION}", check=False)


def migrates() -> bool:
    """Whether the migration has begun, and stands still."""
    return "Paused" in ssh("app1", f"docker ps --filter name=^{MIGRATION}$ --format '{{{{.Status}}}}'")


def page(client) -> bool:
    """Whether users see the maintenance page."""
    answer = client.get("/api/v1/topics?limit=1")
    return answer.status_code == 503 and "retry-after" in answer.headers


def old_ones() -> str:
    """The containers of the release before that run on the two hosts."""
    slot = live()["slots"]["api"]["live"]
    return "".join(ssh(host, f"docker ps -q --filter name=^tasktracker-api-{slot}-1$") for host in ("app1", "app2"))


def test_control_machine_killed_during_the_migration_of_a_recreate(gateway, tmp_path):  # noqa: F811
    """The lease is over long before the migration: the page stays until it has ended, then the old release serves."""
    before = live()["release"]["live"]
    with hanging(), recreating(other(before), data(tmp_path, RECREATE)) as run:
        wait_for("the migration", migrates, 150)
        run.send_signal(signal.SIGKILL)
        run.wait(10)
        end = time.monotonic() + 15 + 10  # the lease, and time for a way back that must not come
        while time.monotonic() < end:
            assert page(gateway) and not old_ones(), "the old release started beside a migration"
            time.sleep(2)
        assert migrates() and live()["opened"], "the migration outlives the control machine"
        goes_on()
        limit = RETRY + START
        wait_for("the old release", lambda: gateway.get("/api/health").json().get("release") == before, limit)
    wait_for("the end of the way back", lambda: live()["lease"] is None, 30)
    assert not migrates() and len(old_ones().splitlines()) >= 1


def test_interrupted_while_a_recreate_is_open(gateway, tmp_path):  # noqa: F811
    """Ctrl-C in the middle of the page: what was stopped is put back now, and not only when the lease ends."""
    before = live()["release"]["live"]
    with hanging(), recreating(other(before), data(tmp_path, RECREATE)) as run:
        wait_for("the migration", migrates, 150)
        assert page(gateway)
        run.send_signal(signal.SIGINT)
        time.sleep(3)
        goes_on()
        said = run.communicate(timeout=120)[0]
    assert run.returncode == 130, said
    assert "Traceback" not in said
    assert served(gateway) == before
    assert live()["opened"] is None and live()["lease"] is None
    assert "maintenance" not in changeover("edge1", "status tasktracker")


@pytest.mark.parametrize("strategy", ["rolling", "recreate"])
def test_a_plan_of_another_strategy_changes_nothing(gateway, tmp_path, strategy):  # noqa: F811
    before = live()
    words = data(tmp_path, {**RECREATE, "tasktracker.release.strategy": strategy})
    run = pyinfra("deploy.py", "--dry", "--data", f"release={other(before['release']['live'])}", *words)
    assert run.code == 0 and "Traceback" not in run.text, run.text
    assert live() == before and served(gateway) == before["release"]["live"]
