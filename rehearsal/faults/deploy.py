"""A deploy as a person starts it, watched line by line, so that a fault can come at the step it is meant for."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import RehearsalError

STEP = re.compile(r"--> Starting operation: (?P<name>.+?)\s*$")
LIMIT = 240.0  # seconds that a whole deploy may take, whatever was broken
GROUP_DATA = paths.ROOT / "group_data" / "staging.py"


def without_gates(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides in which a soak of another length has no gates, unless given: in a short one none could be decided."""
    soaks = [key for key in settings if key.endswith(".release.soak")]
    return {**{key.replace(".release.soak", ".gates"): [] for key in soaks}, **settings}


class Deploy:
    """A deploy that runs, or has run."""

    def __init__(self, folder: Path, release: str, settings: Mapping[str, Any], inventory: str, *words: str) -> None:
        """Starts it.

        Arguments: a folder for the settings it is given; the release ("" for the live one); overrides of
        group_data/staging.py; the inventory; further words.
        """
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / GROUP_DATA.name
        data.write_text(f"{GROUP_DATA.read_text()}\noverrides |= {without_gates(settings)!r}\n")
        pyinfra = str(Path(sys.executable).with_name("pyinfra"))
        command = [pyinfra, inventory, "deploy.py", "-y", "-v", "--group-data", str(data)]  # -v names each step
        command += ["--data", f"release={release}"] if release else []
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [*command, *words], cwd=paths.ROOT, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def text(self) -> str:
        """What it printed so far."""
        return "\n".join(self.lines)

    def wait_for(self, step: str, limit: float = LIMIT) -> None:
        """Waits until a step with these words begins. Raises RehearsalError when it does not within `limit` seconds."""
        end = time.monotonic() + limit
        with self._news:
            while not any(step in name for name in steps(self.lines)):
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RehearsalError(f"the deploy never came to the step '{step}'", "\n".join(self.lines[-20:]))
                self._news.wait(0.5)

    def kill(self) -> bool:
        """SIGKILL: no clean-up runs. Whether it was still at work; one that had ended was not killed."""
        at_work = self._process.poll() is None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)
        return at_work

    def wait(self, limit: float = LIMIT) -> int | None:
        """Its exit code; None when it did not end within `limit` seconds (it is then killed)."""
        try:
            code = self._process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        self._reader.join(5)
        return code

    @property
    def why(self) -> str:
        """The first line of the reason in its last block; empty for none."""
        return next((line[5:].strip() for line in self.lines if line.startswith(" why ")), "")


def steps(lines: list[str]) -> list[str]:
    """The names of the steps that began. Pure."""
    return [found["name"] for line in lines if (found := STEP.search(line))]
