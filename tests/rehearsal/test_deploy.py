"""A deploy on five hosts: complete, idempotent, phase by phase, and recorded."""

import json

from tests import support
from tests.support import pyinfra, ssh


def test_second_run_changes_nothing_and_keeps_the_live_release():
    before = support.live()
    first = pyinfra("deploy.py", "-y", "--json")
    assert first.code == 0, first.text
    second = pyinfra("deploy.py", "-y", "--json")
    assert second.code == 0, second.text
    assert second.changes == 0, second.text
    assert second.results["totals"]["no_change"] > 80
    assert support.live() == before


def test_every_host_of_a_system_says_the_same_is_live():
    states = [support.live(host=host) for host in ("edge1", "app1", "app2", "data1")]
    assert len({(s["generation"], s["seq"]) for s in states}) == 1
    state = states[0]
    assert state["release"]["live"] == "1.0.0"
    assert {slot["live"] for slot in state["slots"].values()} == {"blue"}
    assert "live 1.0.0" in support.changeover("app2", "status tasktracker"), "typed on any host of the system"


def test_a_host_answers_those_who_need_it_and_nobody_else():
    """The database and the broker to the hosts of the applications, and not to the edge."""
    data1 = support.status()["hosts"]["data1"]["address"]
    assert support.scan("app2", data1) == {"open": [22, 4222, 5555], "refused": []}
    assert support.scan("edge1", data1) == {"open": [22], "refused": []}


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
    ssh("app2", "docker rm -f tasktracker-worker-blue-1; chmod 644 /srv/tasktracker/secrets/worker-blue/DATABASE_URL")
    run = pyinfra("deploy.py", "-y", "--json")
    assert run.code == 0, run.text
    assert run.changes == 2
    assert ssh("app2", "stat -c %a /srv/tasktracker/secrets/worker-blue/DATABASE_URL") == "400"
    assert ssh("app2", "docker inspect -f {{.State.Health.Status}} tasktracker-worker-blue-1") == "healthy"


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
