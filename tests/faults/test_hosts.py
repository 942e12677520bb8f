"""Nothing locks a host out, and Debian 12 has everything but an engine of its own; on a host that nobody else uses."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from rehearsal import one, plan
from rehearsal.progress import Progress
from rehearsal.shell import Shell
from tests import support
from tests.support import pyinfra, scan, ssh, wait_for

OLD = next(host for host in plan.ON_DEMAND if host.name == "old1")
INVENTORY = "tests/faults/old_vm.py"
FILES = "/etc/nftables.conf /etc/ssh/sshd_config.d/10-changeover.conf"
WRONG = {
    "sshd": {"fleet.sshd.settings": {"ListenAddress": "0.0.0.0:2222"}},
    "firewall": {"fleet.firewall.ssh_from": ["192.0.2.0/24"]},
}


@pytest.fixture(scope="module", autouse=True)
def old():
    """A new, bare host of Debian 12."""
    shell = Shell(Progress(False))
    one.add(shell, OLD)
    yield
    one.remove(shell, OLD.name)


def secure(tmp_path: Path, change: dict, *words: str) -> support.Run:
    return pyinfra("phases/secure.py", "-y", *data(tmp_path, change), *words, inventory=INVENTORY)


def data(tmp_path: Path, change: dict) -> list[str]:
    return support.data(tmp_path, {"fleet.updates.automatic": True, **change})


def fresh(limit: int = 4) -> bool:
    """Whether a new SSH connection gets in."""
    config = str(support.STATUS.parent / "ssh_config")
    words = ["ssh", "-F", config, "-o", "ControlPath=none", "-o", f"ConnectTimeout={limit}", OLD.name, "true"]
    return subprocess.run(words, capture_output=True, timeout=30).returncode == 0


def engine(*words: str) -> None:
    subprocess.run(["docker", *words, OLD.container], check=True, capture_output=True, timeout=60)


def begun(tmp_path: Path, change: dict) -> subprocess.Popen:
    """A run that cannot come in any more; it has loaded what locks it out, and is about to notice."""
    words = support.pyinfra_words("phases/secure.py", "-y", *data(tmp_path, change), inventory=INVENTORY)
    run = subprocess.Popen(words, cwd=support.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.stdout
    for line in run.stdout:
        if "a fresh connection confirms them" in line:
            return run
    raise AssertionError("it ended before")


def test_debian_12_is_refused_its_own_engine_and_nothing_is_touched():
    run = pyinfra("deploy.py", "-y", inventory=INVENTORY)
    assert run.code == 1
    assert "Debian 12's own packages have engine 20.10 and no compose v2" in run.text and "docker_source" in run.text
    assert ssh(OLD.name, "ls /srv; ls -d /var/lib/changeover; command -v nft", check=False) == ""


def test_everything_else_of_a_host_is_the_same_on_debian_12(tmp_path):
    first = secure(tmp_path, {}, "--json")
    assert first.code == 0 and first.changes > 8, first.text
    second = secure(tmp_path, {}, "--json")
    assert second.code == 0 and second.changes == 0, second.text
    assert ssh(OLD.name, "systemctl is-system-running") == "running"
    found = scan("ops1", support.status()["hosts"][OLD.name]["address"])
    assert found["open"] == [22]
    assert set(found["refused"]) == {80, 443, 5000}, "what the settings open, and where nothing listens"


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_that_locks_out_goes_back(tmp_path, what):
    before = ssh(OLD.name, f"sha256sum {FILES}")
    run = secure(tmp_path, WRONG[what])
    assert run.code == 1
    assert f"under the new {what} no fresh SSH connection came through" in run.text
    assert f"{what} went back to what was there" in run.text and "Traceback" not in run.text
    assert fresh()
    assert ssh(OLD.name, f"sha256sum {FILES}; changeover-guard status") == f"{before}\n[]"


def test_a_control_machine_that_dies_leaves_no_host_locked(tmp_path):
    before = ssh(OLD.name, f"sha256sum {FILES}")
    run = begun(tmp_path, WRONG["firewall"] | {"fleet.confirm_within": "12s"})
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    assert not fresh(), "nobody was locked out: then nothing is shown"
    began = time.monotonic()
    wait_for("a fresh connection", fresh, 30)
    assert time.monotonic() - began < 20
    assert ssh(OLD.name, f"sha256sum {FILES}") == before


def test_a_boot_before_the_confirmation_goes_back_too(tmp_path):
    before = ssh(OLD.name, f"sha256sum {FILES}")
    run = begun(tmp_path, WRONG["sshd"] | {"fleet.confirm_within": "10m"})
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    engine("kill", "-s", "KILL")
    engine("start")
    wait_for("a fresh connection", fresh, 40)
    assert ssh(OLD.name, f"sha256sum {FILES}; changeover-guard status") == f"{before}\n[]"
    assert secure(tmp_path, {}, "--json").changes == 0
