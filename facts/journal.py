"""What the host command says for a machine: status and audit. Both only read."""

from __future__ import annotations

import json
import shlex
from typing import Any

from pyinfra.api import FactBase

BINARY = "/usr/local/bin/changeover"


class Said(FactBase[dict[str, Any] | None]):
    """The answer of `changeover VERB SYSTEM --json`, a refusal too; None where the command is not there, or is mute."""

    def command(self, verb: str, system: str) -> str:
        """Never fails; a verb of two words is as it is typed (`status`, `audit`)."""
        return f"{shlex.join([BINARY, verb, system, '--json'])} 2>/dev/null || true"

    @staticmethod
    def default() -> dict[str, Any] | None:
        return None

    def process(self, output: list[str]) -> dict[str, Any] | None:
        for line in reversed(output):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
        return None
