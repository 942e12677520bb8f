"""What preflight asks of a host: first as whoever logs in, then as root, one command each (changeover/look.py)."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pyinfra.api import FactBase, HiddenValue, StringCommand

from changeover.look import Access, Look

SCRIPT = Path(__file__).parent / "on_host" / "look.py"
MARK = "changeover-access"


class Entry(FactBase[Access | None]):
    """Who a run is on a host, and whether it may become root; None where no shell answers. Ask with _sudo=False."""

    def command(self) -> str:
        """Never fails. Little more than the shell itself, as PATH may be odd."""
        return (
            f"echo {MARK}; [ ! -r /etc/os-release ] || . /etc/os-release;"
            ' echo "os ${ID:-}"; echo "version ${VERSION_ID:-}"; echo "path $PATH";'
            ' echo "uid $(id -u 2>/dev/null)"; echo "user $(id -un 2>/dev/null)";'
            ' python=$(python3 -V 2>/dev/null) || python=; echo "python ${python#Python }";'
            ' said=$(sudo -n true 2>&1) && said=yes; echo "sudo $said" | head -n 1; true'
        )

    @staticmethod
    def default() -> Access | None:
        return None

    def process(self, output: list[str]) -> Access | None:
        if not output or output[0] != MARK:
            return None
        return Access(**{key: value.strip() for key, _, value in (line.partition(" ") for line in output[1:])})


class Fitness(FactBase[Look | None]):
    """A host as root sees it; None where there is no python3 or it says something else. Argument: question()'s."""

    def __init__(self) -> None:
        self._began = time.time()

    def requires_command(self, question: dict[str, Any]) -> str:
        return "python3"

    def command(self, question: dict[str, Any]) -> StringCommand:
        self._began = time.time()
        script = HiddenValue(shlex.quote(SCRIPT.read_text()))
        return StringCommand("python3", "-c", script, shlex.quote(json.dumps(question)), "|| true")

    @staticmethod
    def default() -> Look | None:
        return None

    def process(self, output: list[str]) -> Look | None:
        ended = time.time()
        try:
            said = json.loads(output[-1])
            there = (said["began"] + said["ended"]) / 2
            unsure = max(0.0, (ended - self._began) - (said["ended"] - said["began"])) / 2
            return Look(**said, skew=there - (self._began + ended) / 2, unsure=unsure)
        except (ValueError, KeyError, TypeError, IndexError, ValidationError):
            return None
