"""One bare Debian host becomes everything: planned on bare ground, deployed, unchanged by a second run."""

import json
import subprocess
import sys

import pytest

from rehearsal.plan import BARE_HTTPS_PORT
from tests import support
from tests.support import pyinfra, ssh

INVENTORY = "tests/rehearsal/one_vm.py"


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
    assert "engine, compose and time packages" in plan.text
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
    health = ssh(
        "bare1", "curl -sk --resolve tasks.staging.test:443:127.0.0.1 https://tasks.staging.test/api/health/detailed"
    )
    assert json.loads(health)["status"] == "ok"
    assert ssh("bare1", "docker ps -q | wc -l") == "8"  # 6 services, the second system's, the gateway
    assert ssh("bare1", "stat -c '%a %U' /srv/tasktracker/secrets") == "700 root"


def test_the_server_suite_holds_on_one_vm_too():
    words = [sys.executable, "-m", "pytest", "tests/server", "--inventory", INVENTORY, "-q", "--no-header"]
    done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:]
