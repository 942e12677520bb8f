"""Gates on real hosts: a number that is bad sends the release back; a gate without data lets nothing be switched."""

import json

from tests.faults.test_release import one_release_live, other  # noqa: F401  (one is a fixture)
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, data, live, pyinfra

QUICK = {"tasktracker.release.soak": "15s", "tasktracker.release.lease": "15s"}
LOOKS = {"every": "5s", "window": "5s", "fail_limit": 1}
# One of each source that asks hosts; each has another release's slot to look at, and one finds it bad.
GATES = [
    {"name": "slot", "source": {"cmd": ["sh", "-c", "echo ${#DEPLOYMENT_SLOT}"], "service": "api"}, "value": 6,
     **LOOKS},
    {"name": "ready", "source": {"http": "/api/health", "service": "api", "take": "$.status", "equals": "ok"},
     "op": "==", "value": 1, **LOOKS},
    {"name": "user_path", "source": {"http": "/api/v1/topics?limit=1"}, "op": "==", "value": 200, **LOOKS},
    {"name": "topics", "source": {"sql": "select -count(*) from topics"}, "value": 1, **LOOKS},
    {"name": "sockets", "source": {"probe": "failed", "method": "WS"}, "op": "==", "value": 0, "min_samples": 1,
     "inconclusive_limit": 9, "nodata_limit": 9, **LOOKS},
]  # fmt: skip
BAD = {"name": "sentinel", "source": {"sql": "select 7"}, "value": 5, **LOOKS}


def record():
    return json.loads((ROOT / "reports" / "latest" / "record.json").read_text())


def test_a_gate_that_is_bad_sends_the_release_back_and_the_others_pass(gateway, tmp_path):  # noqa: F811
    before = live()["release"]["live"]
    words = data(tmp_path, {**QUICK, "tasktracker.gates": [*GATES, BAD]})
    run = pyinfra("deploy.py", "-y", "--data", f"release={other(before)}", *words)
    assert run.code == 1, run.text
    assert "gate sentinel: 7 (limit 5) in 2 looks of 5s; first at " in run.text
    assert "sentinel < 5 (sql, every 5s); what is bad goes back after 21 s at most" in run.text
    assert f"tasktracker is back on {before}" in run.text and "Traceback" not in run.text
    assert live()["release"]["live"] == before and other(before) in live()["held"]
    made = record()
    assert made["outcome"] == "rolled_back"
    verdicts = {gate["name"]: gate["verdict"] for gate in made["gates"]}
    assert verdicts == {**{gate["name"]: "pass" for gate in GATES}, "sentinel": "fail"}
    assert all(gate["samples"] for gate in made["gates"])


def test_a_gate_without_data_of_the_live_release_lets_nothing_be_switched(gateway, tmp_path):  # noqa: F811
    before = live()
    empty = {**BAD, "source": {"sql": "select null::int"}}
    words = data(tmp_path, {**QUICK, "tasktracker.gates": [empty]})
    run = pyinfra("deploy.py", "-y", "--data", f"release={other(before['release']['live'])}", *words)
    assert run.code == 1, run.text
    assert f"gate sentinel: no data of {before['release']['live']}, which is live" in run.text
    assert "nothing was switched" in run.text
    assert live()["generation"] == before["generation"]
