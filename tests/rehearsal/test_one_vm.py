"""One bare Debian host becomes everything: planned on bare ground, deployed, unchanged by a second run."""

import json
import subprocess
import sys

import pytest

from rehearsal.plan import BARE_HTTPS_PORT
from tests import support
from tests.support import pyinfra, scan, ssh, wait_for

BOOTED = "systemctl show -p UserspaceTimestamp --value"
INVENTORY = "tests/rehearsal/one_vm.py"
DETAILED = "curl -sk --resolve tasks.staging.test:443:127.0.0.1 https://tasks.staging.test/api/health/detailed"


@pytest.fixture(scope="module", autouse=True)
def bare():
    """The bare host, new: without engine, folders or anything of ours."""
    words = [sys.executable, "-m", "rehearsal", "up", "--new", "bare1"]
    done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ssh("bare1", "command -v docker || echo none") == "none"


def test_plan_on_bare_ground_then_deploy_then_nothing(tmp_path):
    words = support.data(tmp_path, {"fleet.gateway.reach": f"127.0.0.1:{BARE_HTTPS_PORT}"})  # its own gateway
    plan = pyinfra("deploy.py", "--dry", *words, inventory=INVENTORY)
    assert plan.code == 0, plan.text
    assert "engine and compose packages" in plan.text
    assert ssh("bare1", "command -v docker || echo none; ls /srv") == "none", "a plan must change nothing"

    first = pyinfra("deploy.py", "-y", "--json", *words, inventory=INVENTORY, limit=900)
    assert first.code == 0, first.text
    assert first.changes > 10
    checks = json.loads((support.ROOT / "reports" / "latest" / "record.json").read_text())["checklist"]
    tested = [one["verdict"] for one in checks if "tests of" in one["item"] or "smoke test" in one["item"]]
    assert tested == ["pass"] * 4, "a first installation has its tests too"
    second = pyinfra("deploy.py", "-y", "--json", *words, inventory=INVENTORY)
    assert second.code == 0 and second.changes == 0, second.text

    state = json.loads(ssh("bare1", "cat /var/lib/changeover/tasktracker/state.json"))
    assert state["release"]["live"] == "1.0.0" and state["generation"] == 1
    assert json.loads(ssh("bare1", DETAILED))["status"] == "ok"
    assert ssh("bare1", "docker ps -q | wc -l") == "8"  # 6 services, the second system's, the gateway
    assert ssh("bare1", "stat -c '%a %U' /srv/tasktracker/secrets") == "700 root"


def test_only_the_published_ports_answer(bare):
    """As another host sees it: also after nftables, the engine and the host itself were started anew."""
    address = support.status()["hosts"]["bare1"]["address"]
    nginx = ssh("bare1", "docker ps --format {{.Image}} | grep /nginx: | head -n 1")
    ssh("bare1", "systemd-run -q --unit=stray python3 -m http.server 7777")
    ssh("bare1", f"docker run -d --name stray --restart always -p 7778:80 {nginx}")
    wait_for("the stray container", lambda: ssh("bare1", "curl -s -o /dev/null 127.0.0.1:7778; echo $?") == "0", 20)
    published = {"open": [22, 80, 443], "refused": [5000]}  # 5000: opened by the settings, and nothing listens

    assert scan("ops1", address) == published
    ssh("bare1", "nft delete table inet changeover")
    assert set(scan("ops1", address)["open"]) >= {5555, 7777, 7778, 18000}, "nothing was there to be shut out"
    ssh("bare1", "systemctl restart nftables")
    assert scan("ops1", address) == published
    assert "--to-destination" in ssh("bare1", "iptables -t nat -S DOCKER"), "the engine's own rules are gone"
    ssh("bare1", "systemctl restart docker")
    assert scan("ops1", address) == published
    serves()
    first = ssh("bare1", BOOTED)
    ssh("bare1", "systemctl reboot", check=False)
    wait_for("the boot", lambda: ssh("bare1", BOOTED) not in ("", first), 60)
    wait_for("the stray", lambda: ssh("bare1", "docker inspect -f {{.State.Running}} stray") == "true", 60)
    serves()
    assert scan("ops1", address) == published
    ssh("bare1", "docker rm -f stray")


def serves():
    wait_for("every service", lambda: '"status":"ok"' in ssh("bare1", DETAILED), 60)


def test_the_server_suite_holds_on_one_vm_too():
    words = [sys.executable, "-m", "pytest", "tests/server", "--inventory", INVENTORY, "-q", "--no-header"]
    done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]


IMAGE = "ops1.staging.test:5000/library/nginx:1.26"
AWAY = "/root/kept"
# What is broken on the host: how, how it is mended, and the words that preflight must find for it.
BROKEN = [
    (
        f"mkdir -p {AWAY}; mv /etc/os-release {AWAY}/; printf 'ID=fedora\nVERSION_ID=42\n' > /etc/os-release",
        f"mv {AWAY}/os-release /etc/",
        "is fedora 42; known are",
    ),
    ("hostname localhost", "hostname bare1", "its hostname is 'localhost'"),
    (
        "echo 'Defaults secure_path=/usr/local/bin:/usr/bin:/bin' > /etc/sudoers.d/zz-path",
        "rm /etc/sudoers.d/zz-path",
        "the PATH of root lacks /usr/sbin",
    ),
    (
        "systemd-run -q --unit=squat python3 -m http.server 18001",
        "systemctl stop squat",
        "port 18001 (tasktracker.services.api.slots.green) is held by python3 (pid ",
    ),
    (
        f"docker run -d --name bob -p 18011:80 {IMAGE}",
        "docker rm -f bob",
        "port 18011 (tasktracker.services.dashboard.slots.green) is held by the container bob",
    ),
    (
        "docker run -d --name bobs --label com.docker.compose.project=gateway "
        f"--label com.docker.compose.project.working_dir=/home/bob {IMAGE}",
        "docker rm -f bobs",
        "compose project gateway is there already, of /home/bob (bobs)",
    ),
    (
        "ln -s /dev/null /etc/systemd/system/multi-user.target.wants/nginx.service",
        "rm /etc/systemd/system/multi-user.target.wants/nginx.service",
        "nginx.service starts at boot",
    ),
    ("mount -t tmpfs -o size=100m small /srv", "umount /srv", "100 MiB free for /srv, 512 are needed"),
    (
        "mkdir /srv/hello && touch /srv/hello/docker-compose.yml",
        "true",  # it went with the small /srv
        "has a /srv/hello/docker-compose.yml that is not ours",
    ),
    (
        f"cp -a /var/lib/dpkg/status {AWAY}/; "
        "printf '\nPackage: halfway\nStatus: install ok half-configured\nVersion: 1\n' >> /var/lib/dpkg/status",
        f"mv {AWAY}/status /var/lib/dpkg/",
        "dpkg left halfway half-way",
    ),
    (
        f"cp /etc/hosts {AWAY}/; echo '127.0.0.1 ops1.staging.test' >> /etc/hosts",
        f"cat {AWAY}/hosts > /etc/hosts",
        "does not reach the registry ops1.staging.test:5000 (Connection refused)",
    ),
]
WRONG = {  # settings that this host cannot have, and the words for it
    "fleet.memory_overcommit": (1.0, ""),
    "tasktracker.services.worker.memory": ("500G", "memory limits add up to "),
    "tasktracker.services.worker.cpus": (500.0, "tasktracker.services.worker.cpus is 500.0, the host has "),
    "tasktracker.services.postgres.image": ("{mirror}/pgvector/pgvector:other", ""),
    "tasktracker.services.postgres.major": (16, "are PostgreSQL 17's, and major is 16"),
}
LATE = "import time\nreal = time.time\ntime.time = lambda: real() + 90\n"  # this machine's clock


def test_a_host_that_went_wrong_is_refused_with_everything_at_once(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(LATE)
    before = ssh("bare1", "cat /var/lib/changeover/*/state.json; docker ps -q")
    own = {"fleet.gateway.reach": f"127.0.0.1:{BARE_HTTPS_PORT}"}
    words = support.data(tmp_path, own | {key: value for key, (value, _) in WRONG.items()})
    try:
        for broken, _, _ in BROKEN:
            ssh("bare1", broken)
        asked = ["deploy.py", "-y", "--data", "release=1.1.0", *words]
        run = pyinfra(*asked, inventory=INVENTORY, env={"PYTHONPATH": str(tmp_path)})
        ssh("bare1", "mv /usr/bin/python3 /usr/bin/python3.away")
        without = pyinfra("phases/preflight.py", "-y", inventory=INVENTORY)
    finally:
        for mended in ["mv /usr/bin/python3.away /usr/bin/python3", *(mended for _, mended, _ in BROKEN)]:
            ssh("bare1", mended, check=False)
    assert run.code == 1, run.text
    wanted = [*(says for _, _, says in BROKEN), *(says for _, says in WRONG.values()), "its clock is 90 s behind"]
    assert [says for says in wanted if says not in run.text] == [], run.text
    assert "nothing was touched" in run.text and " refused " in run.text
    assert without.code == 1 and "bare1: has no python3; run: sudo apt-get install -y python3" in without.text
    assert ssh("bare1", "cat /var/lib/changeover/*/state.json; docker ps -q") == before
    again = pyinfra("phases/preflight.py", "-y", *support.data(tmp_path, own), inventory=INVENTORY)
    assert again.code == 0, again.text
