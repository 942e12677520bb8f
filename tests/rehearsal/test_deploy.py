"""A deploy on five hosts: complete, idempotent, phase by phase, and recorded."""

import json

from tests import support
from tests.support import pyinfra, ssh


def test_second_run_changes_nothing_and_keeps_the_live_release():
    before = ssh("edge1", "cat /var/lib/changeover/tasktracker/state.json")
    first = pyinfra("deploy.py", "-y", "--json")
    assert first.code == 0, first.text
    second = pyinfra("deploy.py", "-y", "--json")
    assert second.code == 0, second.text
    assert second.changes == 0, second.text
    assert second.results["totals"]["no_change"] > 80
    assert ssh("edge1", "cat /var/lib/changeover/tasktracker/state.json") == before


def test_every_host_of_a_system_says_the_same_is_live():
    states = {host: ssh(host, "cat /var/lib/changeover/tasktracker/state.json") for host in ("edge1", "app1", "data1")}
    assert len(set(states.values())) == 1, states
    state = json.loads(states["edge1"])
    assert state["release"] == "1.0.0"
    assert state["slots"]["api"]["live"] == "blue"
    assert state["migrated"] == {"release": "1.0.0", "version": "0001"}


def test_one_phase_runs_alone():
    run = pyinfra("phases/services.py", "-y", "--json")
    assert run.code == 0, run.text
    assert run.changes == 0


def test_plan_changes_nothing():
    before = ssh("app1", "find /srv /etc/docker /var/lib/changeover -newermt '-5 seconds' | wc -l")
    run = pyinfra("deploy.py", "--dry")
    assert run.code == 0, run.text
    assert "tasktracker: layer 2 is up and healthy" in run.text
    assert before == "0"


def test_drift_is_mended_and_said():
    ssh("app2", "docker rm -f tasktracker-worker-1; chmod 644 /srv/tasktracker/secrets/worker/DATABASE_URL")
    run = pyinfra("deploy.py", "-y", "--json")
    assert run.code == 0, run.text
    assert run.changes == 2
    assert ssh("app2", "stat -c %a /srv/tasktracker/secrets/worker/DATABASE_URL") == "400"
    assert ssh("app2", "docker inspect -f {{.State.Health.Status}} tasktracker-worker-1") == "healthy"


def test_another_release_is_refused_until_it_can_be_switched_to():
    run = pyinfra("deploy.py", "-y", "--data", "release=1.1.0")
    assert run.code == 1
    assert "tasktracker: 1.0.0 is live and 1.1.0 is asked for" in run.text
    assert "Traceback" not in run.text


def test_a_record_and_a_page_are_written():
    run = pyinfra("phases/preflight.py", "-y")
    assert run.code == 0, run.text
    latest = support.ROOT / "reports" / "latest"
    made = json.loads((latest / "record.json").read_text())
    assert made["outcome"] == "ok"
    assert {step["host"] for step in made["steps"]} == set(support.status()["hosts"]) - {"bare1"}
    page = (latest / "index.html").read_text()
    assert "<script" not in page
    assert "tasktracker" in page
    assert f"reports/{latest.resolve().name}/index.html" in run.text
