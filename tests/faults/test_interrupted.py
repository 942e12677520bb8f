"""Faults of a deploy: what served goes on serving, the message says why, and the next run converges."""

import random
import signal
import subprocess
import time

import httpx
import pytest

from tests import support
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, data, live, pyinfra, pyinfra_words, ssh, wait_for

OTHER = {"blue": "green", "green": "blue"}


@pytest.fixture(autouse=True)
def converged():
    """Every fault begins and ends with a deploy that has nothing left to do."""
    yield
    support.converges()


def healthy(client: httpx.Client) -> bool:
    """Whether the system answers through its gateway, with its dependencies."""
    try:
        return client.get("/api/health/detailed").json()["status"] == "ok"
    except (httpx.HTTPError, ValueError, KeyError):
        return False


@pytest.mark.parametrize("seed", range(4))
def test_control_machine_killed_at_a_random_moment(gateway, seed):  # noqa: F811
    """SIGKILL in mid-deploy: no clean-up can run. The work is real: two containers and three files are missing."""
    worker = f"tasktracker-worker-{live()['slots']['worker']['live']}-1"
    ssh("app2", f"docker rm -f {worker} hello-web-1; rm -f /srv/hello/compose.yaml")
    ssh("edge1", "rm -f /srv/gateway/conf/proxy_headers.conf /srv/gateway/loaded")
    process = subprocess.Popen(
        pyinfra_words("deploy.py", "-y"), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(random.Random(seed).uniform(1.0, 8.0))
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert healthy(gateway)
    run = pyinfra("deploy.py", "-y", "--json")
    assert run.code == 0, run.text
    assert healthy(gateway)


@pytest.mark.parametrize("host", ["app1", "data1", "edge1"])
def test_a_host_that_reboots_comes_back_with_everything(gateway, host):  # noqa: F811
    before = serving(host)
    ssh(host, "systemctl reboot", check=False)
    time.sleep(3)
    # systemd gives a process that does not end (an SSH session of a run that was killed) 90 s before it cuts the power
    wait_for(f"{host} after its reboot", lambda: ssh(host, "systemctl is-system-running") == "running", 180)
    wait_for("its containers", lambda: serving(host) == before, 120)
    wait_for("the system", lambda: healthy(gateway), 90)


def serving(host: str) -> list[str]:
    """The containers that run on a host, but for an idle slot: what was left before may be stopped at any time."""
    slot = live()["slots"]["api"]["live"]
    running = ssh(host, "docker ps --format '{{.Names}}' | sort").split()
    return [name for name in running if not name.startswith("tasktracker-") or f"-{OTHER[slot]}-" not in name]


def test_registry_down_and_an_image_gone(gateway):  # noqa: F811
    """What runs goes on; the message names host, registry and image; nothing is touched."""
    image = ssh("app2", "docker inspect -f '{{.Config.Image}}' hello-web-1")
    ssh("app2", f"docker rm -f hello-web-1 && docker rmi -f {image}")
    ssh("ops1", "systemctl stop docker-registry")
    try:
        run = pyinfra("deploy.py", "-y")
        assert run.code == 1
        assert "app2: does not reach the registry" in run.text and "nothing was touched" in run.text
        assert image.rsplit(":", 1)[0] in run.text
        assert "Traceback" not in run.text
        assert healthy(gateway)
    finally:
        ssh("ops1", "systemctl start docker-registry")


def test_an_nginx_configuration_that_nginx_refuses_is_never_in_place(gateway):  # noqa: F811
    """A foreign file in servers/ breaks the tree: the check on the copy fails, the running gateway is not touched."""
    ssh("edge1", "echo 'nonsense here;' > /srv/gateway/conf/servers/zzz.conf; rm /srv/gateway/conf/proxy_headers.conf")
    try:
        run = pyinfra("phases/gateway.py", "-y")
        assert run.code == 1
        assert "nothing was changed" in run.text and 'unknown directive "nonsense"' in run.text
        assert ssh("edge1", "ls /srv/gateway/conf/proxy_headers.conf 2>/dev/null || echo none") == "none"
        assert healthy(gateway)
    finally:
        ssh("edge1", "rm -f /srv/gateway/conf/servers/zzz.conf")


def test_a_worker_that_never_gets_healthy_undoes_the_switch(gateway, tmp_path):  # noqa: F811
    """New settings that do not work: the old containers go on, and the last lines of the new one are shown."""
    before = live()
    broken = {
        "tasktracker.services.worker.command": ["sh", "-c", "echo cannot start; cat /run/secrets/ADMIN_TOKEN; exit 3"],
        "tasktracker.services.worker.start_timeout": "15s",
        "tasktracker.services.worker.health.start_period": "2s",
    }
    run = pyinfra("deploy.py", "-y", *data(tmp_path, broken))
    assert run.code == 1
    assert "not healthy within 15 s" in run.text and "cannot start" in run.text
    assert "*MASKED*" in run.text and support.secret("ADMIN_TOKEN") not in run.text
    assert live()["generation"] == before["generation"]
    assert healthy(gateway)


def test_a_host_that_cannot_be_reached_stops_the_run_before_anything_changes(gateway):  # noqa: F811
    stamp = ssh("app1", "date -u '+%Y-%m-%d %H:%M:%S'")
    ssh("app2", "systemctl stop ssh.socket ssh", check=False)
    try:
        run = pyinfra("deploy.py", "-y")
        assert run.code == 1
        assert "app2" in run.text
        assert ssh("app1", f"find /srv /etc/docker /var/lib/changeover -newermt '{stamp}' | wc -l") == "0"
        assert healthy(gateway)
    finally:
        name = support.status()["hosts"]["app2"].get("container", "changeover-app2")
        subprocess.run(["/usr/bin/docker", "exec", name, "systemctl", "start", "ssh"], check=False, timeout=30)
        wait_for("ssh on app2", lambda: ssh("app2", "true") == "", 30)
