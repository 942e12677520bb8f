"""The control machine dies at fifty random moments: nobody notices, no host is shut or open, the next run converges.

Each deploy brings a release and another setting of sshd, so that every phase has work: firewall and SSH under their
timer, containers, the switch, the soak. CHANGEOVER_KILLS says how often (50), CHANGEOVER_SEED which moments;
a run that has ended by then does not count.
"""

import json
import os
import random
import subprocess
import time

import pytest

from rehearsal.faults.deploy import Deploy, steps
from rehearsal.load import beside
from tests import support
from tests.faults.test_release import one_release_live, other, served  # noqa: F401  (one is a fixture)
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, live, ssh, wait_for

HOSTS = ("edge1", "app1", "app2", "data1", "ops1")
KILLS = int(os.environ.get("CHANGEOVER_KILLS", "50"))
SEED = int(os.environ.get("CHANGEOVER_SEED", "20261122"))
QUICK = {"tasktracker.release.soak": "4s", "tasktracker.release.lease": "15s", "fleet.confirm_within": "20s"}
LOAD = {"seconds": 3600.0, "requests": 100_000}
RULES = "nft list table inet changeover | grep -c 'policy drop'"

WAIT = ("is not confirmed yet", "is half-way", "is locked by", "its traffic moved while this run began")

pytestmark = pytest.mark.matrix


def test_killed_at_fifty_random_moments(gateway, tmp_path):  # noqa: F811
    chance = random.Random(SEED)
    seen = []
    with beside.load(tmp_path / "load.json", "--rate", "20", "--clients", "10", "--sockets", "20", **LOAD) as load:
        whole = deployed(tmp_path, 0)["seconds"]
        tried = 0
        while len(seen) < KILLS:
            tried += 1
            assert tried < 3 * KILLS, "most runs had ended before they were killed"
            number = len(seen) + 1
            moment = chance.uniform(0.5, whole)
            killed = Deploy(tmp_path, other(live()["release"]["live"]), settings(tried), support.STAGING)
            time.sleep(moment)
            if not killed.kill():  # it was quicker: nothing died
                whole = moment
                continue
            died = {"number": number, "after": round(moment, 1), "in": (steps(killed.lines) or ["planning"])[-1]}
            for host in HOSTS:
                wait_for(f"a fresh connection to {host} ({died})", lambda host=host: fresh(host), 40)
            seen.append(died | deployed(tmp_path, tried))
            whole = seen[-1]["seconds"]
            (ROOT / ".rehearsal" / "kills.json").write_text(json.dumps(seen, indent=1))
            for host in HOSTS:
                assert ssh(host, RULES) == "2", f"{host} is open ({died})"
                assert ssh(host, "changeover-guard status") == "[]", f"{host} waits for a confirmation ({died})"
            assert served(gateway) == live()["release"]["live"]
    result = load.result
    (ROOT / ".rehearsal" / "kills-load.json").write_text(json.dumps(result, indent=1))
    assert result["failed"] == 0 and result["rows"]["ok"], result


def settings(number):
    """Settings that every host has to do something for; another value each time."""
    return {**QUICK, "fleet.sshd.settings": {"ClientAliveInterval": str(60 + number)}, **support.UNTESTED}


def deployed(folder, number):
    """A whole run, then one more that changes nothing. Returns how long the first took, and what it was about.

    While the dead run's lock or lease holds, the next one is refused with when that ends: it is run again, as one does.
    """
    began = time.monotonic()
    refused = 0
    while True:
        target = other(live()["release"]["live"])
        started = time.monotonic()
        whole = Deploy(folder, target, settings(number), support.STAGING)
        if whole.wait() == 0:
            break
        assert any(reason in whole.text for reason in WAIT), f"after kill {number}: {whole.text}"
        assert time.monotonic() - began < 300, f"after kill {number} nothing went on: {whole.text}"
        refused += 1
        time.sleep(3)
    took = round(time.monotonic() - started, 1)
    again = support.pyinfra("deploy.py", "-y", "--json", *support.data(folder, settings(number)))
    assert again.code == 0 and again.changes == 0, f"after kill {number}: {again.text}"
    return {"seconds": took, "refused": refused, "live": target}


def fresh(host):
    """Whether a new SSH connection gets in."""
    words = ["ssh", "-F", str(ROOT / ".rehearsal" / "ssh_config"), "-o", "ControlPath=none", "-o", "ConnectTimeout=4"]
    return subprocess.run([*words, host, "true"], capture_output=True, timeout=30).returncode == 0
