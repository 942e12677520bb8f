"""Six releases, each judged ten times: five that are bad each in its own way go back in time, the good one stays.

1.2.0 is broken from some seconds after its start, in the soak, as BROKEN says (examples/tasktracker/app/broken.py):
S0's two minutes, time-scaled. Judged by the sample system's own gates. CHANGEOVER_VERDICTS says how often each (10).
"""

import json
import os
import runpy
from datetime import datetime

import pytest

from changeover import probe
from changeover.gates import LATE, LOOKS
from rehearsal.faults.deploy import Deploy
from tests import support
from tests.faults.test_release import one_release_live, served  # noqa: F401  (one is a fixture)
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, changeover, live

ROUNDS = int(os.environ.get("CHANGEOVER_VERDICTS", "10"))
KINDS = ("errors", "slow", "leak", "posts", "sockets", "none")
AFTER = 25.0  # seconds from its start until a release breaks: the switch comes earlier
SLOW = (0.4, 1.5, 3.0)  # seconds that each request of the slow one waits, in turn
# What a kind may be judged by; "probes" is the prober's own count of failed requests.
JUDGED = {
    "errors": ("probes", "no_5xx"),
    "slow": ("p95",),
    "leak": ("api_memory",),
    "posts": ("probes", "no_5xx"),
    "sockets": ("probes",),
}
GATES = runpy.run_path(str(ROOT / "group_data" / "tasktracker.py"))["tasktracker"]["gates"]
SETTINGS = {
    "tasktracker.release.soak": "80s",
    "tasktracker.release.lease": "20s",
    "tasktracker.gates": GATES,
    **support.UNTESTED,
}
KEPT = ROOT / ".rehearsal" / "verdicts.json"

pytestmark = pytest.mark.matrix


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", range(1, ROUNDS + 1))
def test_judged_rightly(gateway, tmp_path, kind, turn):  # noqa: F811
    before = live()["release"]["live"]
    wait = SLOW[turn % len(SLOW)]
    env = {"BROKEN": kind, "BROKEN_AFTER": str(AFTER), "BROKEN_WAIT": str(wait)}
    settings = {**SETTINGS, **{f"tasktracker.services.api.env.{name}": value for name, value in env.items()}}
    run = Deploy(tmp_path, "1.2.0", settings, support.STAGING)
    code = run.wait()
    made = json.loads((ROOT / "reports" / "latest" / "record.json").read_text())
    found = {"at": made["started"], "kind": kind, "outcome": made["outcome"], "why": run.why}
    found |= times(made, kind, run.why, wait)
    keep(found)
    if kind == "none":
        assert code == 0 and live()["release"]["live"] == "1.2.0", run.text
        changeover("edge1", "rollback tasktracker --no-hold")
        assert served(gateway) == before
        return
    assert code == 1 and made["outcome"] == "rolled_back", run.text
    assert live()["release"]["live"] == before == served(gateway)
    assert any(word in run.why for word in JUDGED[kind]), f"for another reason: {run.text}"
    assert found["seconds"] <= found["printed"], found


def times(made: dict, kind: str, why: str, wait: float) -> dict:
    """Seconds from the first bad answer until traffic was back, and what was printed as the worst case.

    The prober's answers tell both: the first bad one (of a leak, which no answer tells, the first look that found too
    much), and the first of the old slot after the last that came from the new one, or was bad.
    """
    moved = {one["kind"]: one for one in made["moments"]}
    if kind == "none" or "back" not in moved:
        return {}
    switch = moved["switch"]
    samples = probe.read(ROOT / "reports" / "latest" / made["probe"]["file"])
    old = next(one.slot for one in samples if one.slot and one.t < switch["at"][:23])
    since = [one for one in samples if one.t > switch["until"][:23]]
    away = max(one.t for one in since if one.error or one.slot not in (None, old))
    back = min(one.t for one in since if one.t > away and one.slot == old)
    bad = [one.t for one in since if one.error or (kind == "slow" and one.ms > wait * 1000)]
    gates = {one["name"]: one for one in made["gates"]}
    if kind == "leak":
        bad = [one["t"] for one in gates["api_memory"]["samples"] if one["verdict"] == "fail"]
    judged = next((gates[word] for word in JUDGED[kind] if word in gates and word in why), None)
    took = (datetime.fromisoformat(back) - datetime.fromisoformat(min(bad))).total_seconds()
    return {"seconds": round(took, 1), "printed": judged["at_most"] if judged else LOOKS + LATE}


def keep(found: dict) -> None:
    """All verdicts so far, over all runs, for docs/faults.md: remove the file to begin anew."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else []
    KEPT.write_text(json.dumps([*kept, found], indent=1))
