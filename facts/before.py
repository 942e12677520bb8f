"""What a host was told of a system before this run tells it anything: its containers' settings, and the command's."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

from facts.compose import SlotConfigs

PARTS = "#--- changeover"  # a line between the parts of the answer; in YAML and JSON it would be a comment, or nothing


@dataclass(frozen=True)
class Told:
    """`compose` and `command`: texts of the two files, empty where there is none; `running`: as SlotConfigs says."""

    compose: str
    command: str
    running: dict[str, str]


class ToldBefore(FactBase[Told]):
    """One look at both files, and at which settings the slots really run with."""

    def command(self, system: str, directory: str) -> str:
        """Never fails: what is not there is an empty part."""
        part = f"printf '\\n%s\\n' {shlex.quote(PARTS)}"
        files = [f"{directory}/compose.yaml", f"/etc/changeover/{system}.json"]
        looks = [*(f"cat {shlex.quote(file)} 2>/dev/null" for file in files), SlotConfigs().command(system)]
        return f"; {part}; ".join(looks)

    @staticmethod
    def default() -> Told:
        return Told("", "", {})

    def process(self, output: list[str]) -> Told:
        parts: list[list[str]] = [[]]
        for line in output:
            if line == PARTS:
                parts.append([])
            else:
                parts[-1].append(line)
        compose, command, running = [*parts, [], []][:3]
        return Told("\n".join(compose).strip(), "\n".join(command).strip(), SlotConfigs().process(running))
