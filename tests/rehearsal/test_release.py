"""The next release and the way back, under load: nobody notices, and every write is there once."""

import json
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rehearsal.load import beside, series
from tests import support
from tests.support import changeover, live, pyinfra

CHECKLIST = [
    {"name": "built", "check": "images"},
    {"name": "valid", "check": "certificates"},
    {"name": "told", "ask": "Who was told?"},
    {"name": "at its time", "within": ["mon-sun 00:00-24:00"]},
    {"name": "scanned", "program": {"run": ["sh", "-c", "echo no holes in $RELEASE"]}},
    *({"name": name, "check": name, "when": "after"} for name in ("healthy", "logs", "memory", "probe", "websocket")),
]


def test_a_release_and_its_way_back_lose_nothing(gateway, tmp_path):
    before = live()
    assert before["release"]["live"] == "1.0.0"
    said = f'echo "$0 $PREVIOUS to $RELEASE" >> {tmp_path}/said'
    own = [{"name": f"files {when}", "when": when, "run": ["sh", "-c", said, when]} for when in ("before", "after")]
    settings = {"soak": "10s", "commands": own}
    listed = {"tasktracker.checklist": CHECKLIST, **{f"tasktracker.release.{key}": settings[key] for key in settings}}
    (tmp_path / "answers").write_text("told: all of support\n")
    words = [*support.data(tmp_path, listed), "--data", f"answers={tmp_path}/answers"]
    marks = {}
    with beside.load(tmp_path / "load.json", "--rate", "60", "--sockets", "40", seconds=400, requests=30_000) as load:
        time.sleep(5)
        run = pyinfra("deploy.py", "-y", "--data", "release=1.1.0", *words)
        assert run.code == 0, run.text
        assert "0 of " in run.text and "requests failed, from before the switch on" in run.text
        assert gateway.get("/api/health").json()["release"] == "1.1.0"
        seen_on_the_way(run)
        assert (tmp_path / "said").read_text() == "before 1.0.0 to 1.1.0\nafter 1.0.0 to 1.1.0\n"
        marks["released"] = live()
        began = time.monotonic()
        said = changeover("app1", "rollback tasktracker --why 'the way back is tested'")
        marks["back in"] = time.monotonic() - began
        assert "is back on 1.0.0" in said
        time.sleep(5)
    result = load.result
    assert result["failed"] == 0, (result["failures"], series.failures(load.series))
    assert result["rows"]["ok"] and result["rows"]["answered"] > 500, result["rows"]
    assert result["sockets"]["ok"] and result["sockets"]["events"]["received"] > 0, result["sockets"]
    assert result["posts"] / result["sent"] >= 0.3
    assert set(result["by_slot"]) == {"blue", "green"}
    assert marks["back in"] < 60
    assert marks["released"]["release"] == {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    assert {slot["live"] for slot in live()["slots"].values()} == {"blue"}


def seen_on_the_way(run: support.Run) -> None:
    """The team's tests of each idle slot and of the gateway are in output, record and page."""
    assert run.text.count("integration tests: ") == 2 and "smoke tests: 3 passed (" in run.text, run.text
    latest = support.ROOT / "reports" / "latest"
    checks = json.loads((latest / "record.json").read_text())["checklist"]
    items = [f"tasktracker: integration tests of api green on {host}" for host in ("app1", "app2")]
    names = ["an authenticated call", "a write, and its event", "an export"]
    items += [f"tasktracker: smoke test: {name}" for name in names]
    items += ["tasktracker: files before", "tasktracker: files after", "tasktracker: the audit chain holds"]
    items += [f"tasktracker: {one['name']}" for one in CHECKLIST]
    assert sorted(one["item"] for one in checks) == sorted(items)
    seen = {one["item"].removeprefix("tasktracker: "): one["evidence"] for one in checks}
    assert seen["told"].startswith("all of support (") and seen["scanned"] == "exit code 0: no holes in 1.1.0"
    assert "sha256:" in seen["built"] and " containers on 3 hosts are healthy" in seen["healthy"], seen
    assert {one["verdict"] for one in checks} == {"pass"}
    head = next(one["evidence"] for one in checks if "audit" in one["item"])
    assert head in changeover("edge1", "audit tasktracker --verify") and head in run.text
    page = (latest / "index.html").read_text()
    assert all(item in page for item in items) and "its event after" in page
    assert " passed" in (latest / "tests-tasktracker-api-app1.txt").read_text()
    reported(json.loads((latest / "record.json").read_text()))


def reported(record: dict[str, Any]) -> None:
    """What the record says of the traffic and of what changed: the prober saw both slots, each on its side."""
    system, probe = record["systems"][0], record["probe"]
    assert system["migration"] == {"from": "0001", "to": "0002"}
    assert (system["settings"], system["settings_unknown"]) == ([], "")
    assert [service for service, image in system["images"].items() if image == system["images_before"][service]] == []
    assert [one["kind"] for one in record["moments"]] == ["switch", "confirm"]
    switch, confirmed = record["moments"]
    series = probe["series"]
    before = {slot for one in series for slot in one["slots"] if one["t"] < switch["at"][:19]}
    after = {slot for one in series for slot in one["slots"] if one["t"] > switch["until"]}
    assert (before, after) == ({"blue"}, {"green"})
    assert sum(one["sent"] for one in series) == sum(one["sent"] for one in probe["spans"]) == probe["sent"]
    assert [one["name"] for one in probe["spans"]] == ["before traffic to 1.1.0", "from traffic to 1.1.0 on"]
    warm = datetime.fromisoformat(record["way_back"]["warm_until"]) - datetime.fromisoformat(confirmed["until"])
    assert warm == timedelta(minutes=30)


def test_a_report_that_is_lost_is_made_again_from_the_journal(tmp_path):
    """The control machine died, and its disk with it: another one asks the hosts, and changes nothing on them."""
    own = (support.ROOT / "reports" / "latest").resolve()
    lost = tmp_path / own.name
    shutil.move(own, lost)
    state = live()
    words = [sys.executable, "-m", "changeover", "report", support.STAGING]
    try:
        done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (
            "tasktracker went from 1.0.0 to 1.1.0" in done.stderr and " not known   gates and checklist" in done.stderr
        )
        folder = Path(done.stderr.rsplit(" report      ", 1)[1].strip()).parent
        found, before = (json.loads((at / "record.json").read_text()) for at in (support.ROOT / folder, lost))
        assert found["rebuilt"]["host"] == "edge1" and found["outcome"] == "ok"
        for key in ("txn", "actor", "environment", "release"):
            assert found[key] == before[key]
        assert [one["kind"] for one in found["moments"]] == [one["kind"] for one in before["moments"]]
        assert live() == state
        shutil.rmtree(support.ROOT / folder)
    finally:
        shutil.move(lost, own)
    assert "wrote its own" in subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=60).stderr


def test_a_release_that_was_gone_back_from_is_held(gateway):
    run = pyinfra("deploy.py", "-y", "--data", "release=1.1.0")
    assert run.code == 1
    assert "1.1.0 is held" in run.text and "sudo changeover unhold tasktracker 1.1.0" in run.text
    changeover("edge1", "unhold tasktracker 1.1.0")
    support.converges()
    assert live()["release"]["live"] == "1.0.0"


def test_the_maintenance_page(gateway):
    changeover("edge1", "maintenance tasktracker on --why 'a test'")
    try:
        answer = gateway.get("/api/v1/topics")
        assert answer.status_code == 503 and answer.headers["retry-after"] == "60"
        assert gateway.get("/dashboard/").status_code == 503
        for path in ("/nginx-health", "/api/health", "/api/health/detailed"):
            assert gateway.get(path).status_code == 200, f"{path}: whoever watches is answered in maintenance too"
    finally:
        changeover("edge1", "maintenance tasktracker off")
    assert gateway.get("/api/v1/topics").status_code == 200


def test_the_maintenance_page_by_runbook_survives_a_deploy(gateway):
    words = ("runbooks/maintenance_on.py", "-y", "--json", "--data", "why=a test of the page")
    try:
        assert [pyinfra(*words).changes for _ in range(2)] == [1, 0]
        assert "a test of the page" in changeover("app1", "maintenance tasktracker status")
        assert gateway.get("/api/v1/topics").status_code == 503
        run = pyinfra("deploy.py", "-y")
        assert run.code == 0, run.text
        assert "tasktracker: the gateway answers behind the maintenance page, health only" in run.text
        assert gateway.get("/api/v1/topics").status_code == 503
    finally:
        off = [pyinfra("runbooks/maintenance_off.py", "-y", "--json").changes for _ in range(2)]
    assert off == [1, 0]
    assert gateway.get("/api/v1/topics").status_code == 200
