"""Where secret values come from: the environment, then one 0600 file. Resolved at use, never kept in host data."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path


class Secrets:
    """Looks secrets up by name. `<SYSTEM>_<NAME>` wins over `<NAME>`, so that systems can differ.

    Arguments: the file's path (it may be absent), and the environment (default: the process's).
    """

    def __init__(self, file: Path, environ: Mapping[str, str] = os.environ):
        self.file = file
        self._environ = environ
        self._values: dict[str, str] | None = None

    def problems(self, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """One line for each (system, name) that is nowhere, and for a file that others can read."""
        found = []
        if self.file.exists() and stat.S_IMODE(self.file.stat().st_mode) & 0o077:
            mode = stat.S_IMODE(self.file.stat().st_mode)
            found.append(f"{self.file}  is readable by others (mode {mode:04o}); run: chmod 600 {self.file}")
        for system, name in wanted:
            if self._find(system, name) is None:
                found.append(f"secret {name} (system {system}) is in neither the environment nor {self.file}")
        return found

    def get(self, system: str, name: str) -> str:
        """The value; KeyError names the secret (never its value)."""
        value = self._find(system, name)
        if value is None:
            raise KeyError(f"secret {name} (system {system}) is in neither the environment nor {self.file}")
        return value

    def _find(self, system: str, name: str) -> str | None:
        if self._values is None:
            self._values = read_env(self.file.read_text()) if self.file.exists() else {}
        for key in (f"{system.upper()}_{name}", name):
            for source in (self._environ, self._values):
                if source.get(key):
                    return source[key]
        return None


def read_env(text: str) -> dict[str, str]:
    """NAME=value lines; blank lines and # comments are skipped, one pair of quotes around a value is taken off."""
    values = {}
    for line in text.splitlines():
        name, found, value = line.strip().partition("=")
        if found and not name.startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
                value = value[1:-1]
            values[name.strip().removeprefix("export ")] = value
    return values
