"""What the tests on real hosts share: running pyinfra as a user does, and a shell on a host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rehearsal.faults.deploy import without_gates

ROOT = Path(__file__).resolve().parent.parent
STAGING = "inventories/staging.py"
# A release whose mistake the team's own tests would find: what is to be seen is what happens when they do not.
UNTESTED = {"tasktracker.services.api.test": None, "tasktracker.release.smoke": []}
STATUS = ROOT / ".rehearsal" / "status.json"


@dataclass
class Run:
    """A finished pyinfra run: exit code, what a person saw, and the --json results (None where there are none)."""

    code: int
    text: str
    results: dict[str, Any] | None

    @property
    def changes(self) -> int:
        """Operations that changed something, over all hosts."""
        assert self.results is not None, self.text
        return self.results["totals"]["success"]


def status() -> dict[str, Any]:
    """The rehearsal's status; fails the test with the way on when it is down."""
    assert STATUS.exists(), "the rehearsal is down; run: make rehearsal"
    return json.loads(STATUS.read_text())


def pyinfra_words(*words: str, inventory: str = STAGING) -> list[str]:
    """The command line of a run."""
    return [str(Path(sys.executable).with_name("pyinfra")), inventory, *words]


def pyinfra(*words: str, inventory: str = STAGING, limit: float = 600, env: dict[str, str] | None = None) -> Run:
    """Runs pyinfra from the repository's root; with --json among the words its results are parsed."""
    done = subprocess.run(
        pyinfra_words(*words, inventory=inventory),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=limit,
        env={**os.environ, **(env or {})},
    )
    results = None
    if "--json" in words and done.stdout.strip():
        results = json.loads(done.stdout)["results"]
    return Run(done.returncode, done.stdout + done.stderr, results)


def ssh(host: str, command: str, limit: float = 60, check: bool = True) -> str:
    """Runs a command on a host as root; returns what it printed."""
    done = subprocess.run(ssh_words(host, command), capture_output=True, text=True, timeout=limit)
    assert not check or done.returncode == 0, f"{host}: {command}\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


def ssh_words(host: str, command: str) -> list[str]:
    """The words of a shell that run a command on a host as root."""
    return ["ssh", "-F", str(ROOT / ".rehearsal" / "ssh_config"), host, f"sudo sh -c {_quote(command)}"]


def secret(name: str) -> str:
    """The value of one of the rehearsal's own secrets."""
    lines = (STATUS.parent / "secrets.env").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


def wait_for(what: str, look: Callable[[], Any], limit: float) -> Any:
    """Asks until the answer is true; fails after `limit` seconds with the last answer or error."""
    end = time.monotonic() + limit
    last: Any = None
    while time.monotonic() < end:
        try:
            if last := look():
                return last
        except (AssertionError, OSError, subprocess.SubprocessError, httpx.HTTPError, ValueError) as error:
            last = error
        time.sleep(1)
    raise AssertionError(f"{what}: not within {limit:.0f} s; last: {last}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def data(tmp_path: Path, overrides: dict[str, Any]) -> list[str]:
    """Words that give a run further overrides on top of group_data/staging.py.

    A soak of another length has no gates, unless they are given, too: in a short one none could come to a verdict.
    """
    overrides = without_gates(overrides)
    file = tmp_path / "staging.py"
    file.write_text((ROOT / "group_data" / "staging.py").read_text() + f"\noverrides |= {overrides!r}\n")
    return ["--group-data", str(file)]


def changeover(host: str, words: str, check: bool = True) -> str:
    """Types a command of the host command on a host."""
    return ssh(host, f"changeover {words}", check=check)


def live(system: str = "tasktracker", host: str = "edge1") -> dict[str, Any]:
    """What a host says is live of a system."""
    return json.loads(ssh(host, f"cat /var/lib/changeover/{system}/state.json"))


SCANNED = (
    "1-1100 2375-2377 3000 4222 5000 5432 5555 6443 7777 7778 8000-8100 8222 9090-9130 18000-18120".split()
)


def scan(host: str, address: str) -> dict[str, list[int]]:
    """{"open": ports, "refused": ports} of an address of the rehearsal, as another of its hosts sees it."""
    script = (ROOT / "tests" / "on_host" / "scan.py").read_text()
    words = ["ssh", "-F", str(ROOT / ".rehearsal" / "ssh_config"), host, f"python3 - {address} {' '.join(SCANNED)}"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def converges() -> None:
    """A deploy, and then one that changes nothing.

    A minute after a way back the slots that it left are given up, and the next deploy takes them out of compose.yaml:
    where that minute ends between the two, one more run has to change nothing.
    """
    left = _left_behind()
    _deployed()
    again = _deployed()
    if again.changes and left and not _left_behind():
        again = _deployed()
    assert again.changes == 0, again.text


def _deployed() -> Run:
    run = pyinfra("deploy.py", "-y", "--json")
    assert run.code == 0, run.text
    return run


def _left_behind() -> bool:
    """Whether slots that a way back left still run."""
    state = live()
    return bool(state["warm"] and not state["release"]["previous"])
