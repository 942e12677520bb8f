"""What a gateway host has of an authority's certificates."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from pyinfra.api import FactBase, HiddenValue, StringCommand

from changeover.certificates import Certificate, Look

SCRIPT = Path(__file__).resolve().parent.parent / "operations" / "on_host" / "certificates.py"


class Certificates(FactBase[Look]):
    """The host as it is; of a bare one that there is nothing. Arguments: the gateway's folder; SYSTEM=NAME."""

    def requires_command(self, directory: str, pairs: Sequence[str]) -> str:
        return "python3"

    def command(self, directory: str, pairs: Sequence[str]) -> StringCommand:
        """Changes nothing."""
        script = HiddenValue(shlex.quote(SCRIPT.read_text()))
        return StringCommand("python3", "-c", script, "look", *map(shlex.quote, [directory, *pairs]))

    @staticmethod
    def default() -> Look:
        return Look()

    def process(self, output: list[str]) -> Look:
        said = json.loads(output[-1])
        found = {
            name: Certificate(**{**one, "names": tuple(one["names"])}) for name, one in said["certificates"].items()
        }
        served = {name: tuple(now) for name, now in said["served"].items()}
        return Look(**{**said, "pairs": tuple(said["pairs"]), "certificates": found, "served": served})
