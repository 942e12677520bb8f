"""A host on which everything went wrong: one run names all of it, and touches nothing."""

import json

import pytest

from tests.support import ssh

IMAGE = "ops1.staging.test:5000/library/nginx:1.26"
AWAY = "/root/kept"
# What is broken on the host: how, how it is mended, and the words that preflight must find for it. In braces: the idle
# slot, and its ports.
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
        "systemd-run -q --unit=squat python3 -m http.server {api}",
        "systemctl stop squat",
        "port {api} (tasktracker.services.api.slots.{idle}) is held by python3 (pid ",
    ),
    (
        "docker run -d --name bob -p {dashboard}:80 " + IMAGE,
        "docker rm -f bob",
        "port {dashboard} (tasktracker.services.dashboard.slots.{idle}) is held by the container bob",
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


@pytest.fixture
def deployed(bare):
    """The bare host with a release on it."""
    if not ssh("bare1", "ls /var/lib/changeover/tasktracker/state.json 2>/dev/null", check=False):
        first = bare.run("deploy.py", "-y", limit=900)
        assert first.code == 0, first.text
    return bare


def test_a_host_that_went_wrong_is_refused_with_everything_at_once(deployed, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(LATE)
    before = ssh("bare1", "cat /var/lib/changeover/*/state.json; docker ps -q")
    wrong = {key: value for key, (value, _) in WRONG.items()}
    slots = json.loads(ssh("bare1", "cat /var/lib/changeover/tasktracker/state.json"))["slots"]
    own = {"idle": "green", "api": 18001, "dashboard": 18011}
    if slots["api"]["live"] == "green":
        own = {"idle": "blue", "api": 18000, "dashboard": 18010}

    def of(text):
        for name, value in own.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    late = {"PYTHONPATH": str(tmp_path)}
    try:
        for broken, _, _ in BROKEN:
            ssh("bare1", of(broken))
        run = deployed.run("deploy.py", "-y", "--data", "release=1.1.0", settings=wrong, env=late)
        ssh("bare1", "mv /usr/bin/python3 /usr/bin/python3.away")
        without = deployed.run("phases/preflight.py", "-y")
    finally:
        for mended in ["mv /usr/bin/python3.away /usr/bin/python3", *(mended for _, mended, _ in BROKEN)]:
            ssh("bare1", mended, check=False)
    assert run.code == 1, run.text
    wanted = [*(of(says) for _, _, says in BROKEN), *(says for _, says in WRONG.values()), "its clock is 90 s behind"]
    assert [says for says in wanted if says not in run.text] == [], run.text
    assert "nothing was touched" in run.text and " refused " in run.text
    assert without.code == 1 and "bare1: has no python3; run: sudo apt-get install -y python3" in without.text
    assert ssh("bare1", "cat /var/lib/changeover/*/state.json; docker ps -q") == before
    again = deployed.run("phases/preflight.py", "-y")
    assert again.code == 0, again.text
