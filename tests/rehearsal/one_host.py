"""One bare host that becomes everything, with a canary for every secret, and an eye on all that is done to it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rehearsal.plan import BARE_HTTPS_PORT
from tests import support
from tests.rehearsal.canaries import Canaries, command_lines
from tests.support import Run, pyinfra, ssh

INVENTORY = "tests/rehearsal/one_vm.py"
DETAILED = "curl -sk --resolve tasks.staging.test:443:127.0.0.1 https://tasks.staging.test/api/health/detailed"


class Host:
    """The bare host, new: without engine, folders or anything of ours. Argument: a folder for its settings."""

    def __init__(self, folder: Path):
        words = [sys.executable, "-m", "rehearsal", "up", "--new", "bare1"]
        done = subprocess.run(words, cwd=support.ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ssh("bare1", "command -v docker || echo none") == "none"
        self.began = time.time()
        self.folder = folder
        self.canaries = Canaries(folder / "planted")
        self.printed = ""
        self.lines: set[str] = set()
        self.variables: set[str] = set()

    def run(
        self, *words: str, limit: float = 600, env: dict[str, str] | None = None, settings: dict[str, Any] | None = None
    ) -> Run:
        """A run of pyinfra, all that it prints kept, and every command line on this machine and the host meanwhile.

        Arguments: pyinfra's words; how long it may take, seconds; more environment; settings of this run alone.
        """
        reads = {"name": "reads", "source": {"sql": "select 1", "timeout": "2s"}, "value": 2, "every": "3s"}
        own = {
            "fleet.gateway.reach": f"127.0.0.1:{BARE_HTTPS_PORT}", "tasktracker.release.soak": "10s",
            "tasktracker.gates": [reads],
        }  # fmt: skip
        data = support.data(self.folder, {**own, **self.canaries.settings(), **(settings or {})})
        with command_lines() as lines:
            more = {**self.canaries.environment(), **(env or {})}
            done = pyinfra(*words, *data, inventory=INVENTORY, limit=limit, env=more)
        self.printed += done.text
        self.lines |= lines.seen
        self.variables |= lines.variables
        return done

    def serves(self, limit: float = 60) -> None:
        """Waits until every service answers, through the gateway."""
        support.wait_for("every service", lambda: '"status":"ok"' in ssh("bare1", DETAILED), limit)
