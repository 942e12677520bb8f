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
FORGOTTEN = 9999  # a port of what nobody named
THEIRS = "table inet theirs { chain input { type filter hook input priority 5; tcp dport 9998 drop; }; }"
RAW = "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112); "
LISTEN = (
    f"{RAW}s.settimeout(3); print(\"ready\", flush=True)\ntry: s.recv(99); print(\"heard\")"
    "\nexcept TimeoutError: print(\"silence\")"
)
SEND = f"{RAW}[s.sendto(b\"hello\", (sys.argv[1], 0)) for _ in range(3)]"
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


def address() -> str:
    return support.status()["hosts"][OLD.name]["address"]


def heard() -> bool:
    """Whether a packet of VRRP's protocol, sent from another host, comes through to a program on this one."""
    with subprocess.Popen(support.ssh_words(OLD.name, f"python3 -c '{LISTEN}'"), stdout=subprocess.PIPE) as listening:
        assert listening.stdout and listening.stdout.readline() == b"ready\n"
        ssh("ops1", f"python3 -c '{SEND}' {address()}")
        return listening.stdout.readline() == b"heard\n"


def engine(*words: str) -> None:
    subprocess.run(["docker", *words, OLD.container], check=True, capture_output=True, timeout=60)


def begun(tmp_path: Path, change: dict) -> subprocess.Popen:
    """A run that cannot come in any more; it has loaded what locks it out, and is about to notice."""
    words = support.pyinfra_words("phases/secure.py", "-y", "-v", *data(tmp_path, change), inventory=INVENTORY)
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
    ssh(OLD.name, f"systemd-run -q --unit=forgotten python3 -m http.server {FORGOTTEN}")
    first = secure(tmp_path, {}, "--json")
    assert first.code == 0 and first.changes > 8, first.text
    assert f"{FORGOTTEN}/tcp (python3) answers now and will not: name it in fleet.firewall.open" in first.text
    second = secure(tmp_path, {}, "--json")
    assert second.code == 0 and second.changes == 0, second.text
    assert ssh(OLD.name, "systemctl is-system-running") == "running"
    found = scan("ops1", address())
    assert found["open"] == [22], "and not what was forgotten, and still listens"
    ssh(OLD.name, f"ss -Hlnt sport = :{FORGOTTEN} | grep -q . && systemctl stop forgotten")
    assert set(found["refused"]) == {80, 443, 5000}, "what the settings open, and where nothing listens"


def test_rules_of_somebody_else_are_refused_with_what_ends_them(tmp_path):
    """They came after ours: both would decide, and nobody could say what is open."""
    before = ssh(OLD.name, f"sha256sum {FILES}")
    ssh(OLD.name, f"nft '{THEIRS}'")
    run = secure(tmp_path, {"fleet.firewall.ssh_from": ["0.0.0.0/0"]})
    assert run.code == 1 and "Traceback" not in run.text
    assert "has rules of its own (table inet theirs)" in run.text and "nft delete table inet theirs" in run.text
    assert ssh(OLD.name, f"sha256sum {FILES}") == before
    ssh(OLD.name, "nft delete table inet theirs")
    assert secure(tmp_path, {}, "--json").changes == 0


def test_a_protocol_without_ports_gets_through_once_it_is_named(tmp_path):
    """Two gateways that share an address tell each other so by VRRP, protocol 112."""
    assert not heard(), "it is open anyway: then nothing is shown"
    run = secure(tmp_path, {"fleet.firewall.open": [{"protocol": "vrrp"}]})
    assert run.code == 0 and heard(), run.text
    assert secure(tmp_path, {}).code == 0 and not heard(), "the settings do not name it any more"


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
