"""pyinfra itself with the real preflight, on hosts that are not there: all findings of all hosts, then nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from test_fitness import SEEN, WHO
from test_guards import ROOT, environment

PYINFRA = str(Path(sys.executable).parent / "pyinfra")
LIMIT = 60  # seconds for one run
ALL = 'fleet = dict(environment="staging", registry="r.test", secrets_file="secrets.env")\n'
TINY = """
tiny = dict(initial_release="1.0", domain="tiny.test", services=dict(
    web=dict(layer=2, on="app", port=80, publish=8000, routes={"/": {}})))
"""
DEPLOY = """
from pathlib import Path
from pyinfra import host, local
from pyinfra.operations import python

local.include("phases/preflight.py")
python.call(name="change", function=lambda: Path(f"changed-{host.name[6:]}").touch())
"""
CONFIG = (ROOT / "config.py").read_text() + """
import json, time
from facts.fitness import Fitness

plain = Fitness.process

def with_a_clock(self, output):  # the answers lie ready since before the run: their time is made when they are read
    for seen in map(json.loads, output[:1]):
        now = (self._began + time.time()) / 2 + seen.pop("ahead")
        output = [json.dumps({**seen, "began": now, "ended": now})]
    return plain(self, output)

Fitness.process = with_a_clock
"""
HOSTS = ("edge1", "app1", "app2")


@dataclass
class Case:
    """What differs from good hosts: {host: {entry or look: changes, or state: text}}; what is said; how it ends."""

    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    says: list[str] = field(default_factory=list)
    code: int = 1
    words: str = "deploy.py -y"
    reported: bool = False


NOTHING = "nothing was touched"
NO_SUDO = {"entry": {"sudo": "sudo: a password is required"}}
FULL = {"look": {"disks": {"/var/lib/docker": 10}}}
CASES = {
    "all is well": Case(code=0),
    "all three": Case(
        {
            "edge1": {"look": None},
            "app1": FULL,
            "app2": {"look": {"addresses": ["10.9.9.9"], "systemd": False, "ahead": 900}},
        },
        [
            "edge1: does not say what it is",
            "app1: 10 MiB free for /var/lib/docker",
            "app2: its clock is 900 s ahead",
            "app2: address 10.0.0.3 of the inventory is not the host's own",
            "app2: runs without systemd",
            " refused     tiny 1.0",
            NOTHING,
        ],
        reported=True,
    ),
    "no sudo on one host": Case(
        {"app1": NO_SUDO, "app2": FULL},
        ["app1: admin may not use sudo", "app2: 10 MiB free for /var/lib/docker", f"2 errors; {NOTHING}"],
    ),
    "no sudo on the host that knows what is live": Case(
        {"edge1": NO_SUDO, "app2": FULL},
        ["edge1: admin may not use sudo", "app2: 10 MiB free for /var/lib/docker", f"2 errors; {NOTHING}"],
    ),
    "a damaged state": Case(
        {"edge1": {"state": "{"}, "app1": {"entry": {"python": ""}, "look": None}},
        ["state.json is damaged", "app1: has no python3", f"2 errors; {NOTHING}"],
    ),
    "a shell that talks": Case(
        {"app1": {"greets": "Welcome!"}}, ["app1: does not answer as a shell does", f"1 error; {NOTHING}"]
    ),
    "a plan": Case({"app1": FULL}, ["app1: 10 MiB free", f"1 error; {NOTHING}"], code=0, words="deploy.py --dry"),
}


def answers(number: int, name: str, change: dict[str, Any]) -> dict[str, Any]:
    """What a fake host answers to preflight's questions."""
    who = {**WHO, **change.get("entry", {})}
    lines = ["changeover-access", *(f"{key} {value}" for key, value in who.items())]
    look = change.get("look", {})
    seen = {**SEEN, "hostname": name, "addresses": [f"10.0.0.{number}"], "ahead": 0, **(look or {})}
    return {
        "changeover-access": [change["greets"]] if "greets" in change else lines,
        "state.json": [change["state"]] if "state" in change else [],
        "python3 -c": [] if look is None else [json.dumps(seen)],
    }


def repository(root: Path, case: Case) -> Path:
    """A repository with our code and settings of its own."""
    (root / "config.py").write_text(CONFIG)
    for name in ("changeover", "operations", "facts", "templates", "phases"):
        (root / name).symlink_to(ROOT / name)
    for folder in ("inventories", "group_data"):
        (root / folder).mkdir()
    entries = []
    for number, name in enumerate(HOSTS, 1):
        data = {"fake_delay": 0, "fake_delay_jitter": 0, "address": f"10.0.0.{number}", "_sudo": True}
        data["fake_responses"] = answers(number, name, case.hosts.get(name, {}))
        entries.append((f"@fake/{name}", data))
    lines = [f"edge = {entries[:1]!r}", f"app = {entries[1:]!r}", "tiny = [*edge, *app]"]
    (root / "inventories/staging.py").write_text("\n".join(lines))
    (root / "group_data/all.py").write_text(ALL)
    (root / "group_data/tiny.py").write_text(TINY)
    (root / "deploy.py").write_text(DEPLOY)
    (root / "secrets.env").write_text("")
    (root / "secrets.env").chmod(0o600)
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, Path]]:
    """All runs, a few at a time: exit code, output, repository."""

    def one(name: str) -> tuple[int, str, Path]:
        root = repository(tmp_path_factory.mktemp("repository"), CASES[name])
        words = [PYINFRA, "inventories/staging.py", *CASES[name].words.split()]
        done = subprocess.run(words, cwd=root, env=environment(), capture_output=True, text=True, timeout=LIMIT)
        return done.returncode, done.stdout + done.stderr, root

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return dict(zip(CASES, pool.map(one, CASES), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_all_findings_of_all_hosts_and_the_exit_code(runs: dict[str, tuple[int, str, Path]], name: str) -> None:
    code, text, _ = runs[name]
    case = CASES[name]
    assert code == case.code, text
    assert [words for words in case.says if words not in text] == [], text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_changed_on_any_host_when_one_is_unfit(runs: dict[str, tuple[int, str, Path]], name: str) -> None:
    _, _, root = runs[name]
    changed = sorted(path.name for path in root.glob("changed-*"))
    assert changed == (["changed-app1", "changed-app2", "changed-edge1"] if name == "all is well" else [])
    if name != "all is well":
        assert (root / "reports").exists() is CASES[name].reported
        for record in root.glob("reports/latest/record.json"):
            assert json.loads(record.read_text())["outcome"] == "refused"
