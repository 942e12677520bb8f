"""Where secret values come from: the environment, then one 0600 file. Resolved at use, never kept in host data."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

SHORTEST = 4  # characters; shorter values would mask ordinary words


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
        try:
            mode = stat.S_IMODE(self.file.stat().st_mode) if self.file.exists() else 0
            if mode & 0o077:
                found.append(f"{self.file}  is readable by others (mode {mode:04o}); run: chmod 600 {self.file}")
            self._file_values()
        except OSError as error:
            return [*found, f"{self.file}  cannot be read: {error.strerror}"]
        except UnicodeDecodeError:
            return [*found, f"{self.file}  is no UTF-8 text"]
        except ValueError as error:
            return [*found, f"{self.file}  {error}"]
        return found + [self._missing(*one) for one in wanted if self._find(*one) is None]

    def get(self, system: str, name: str) -> str:
        """The value; KeyError names the secret (never its value)."""
        value = self._find(system, name)
        if value is None:
            raise KeyError(self._missing(system, name))
        return value

    def _missing(self, system: str, name: str) -> str:
        return f"secret {name} (system {system}) is in neither the environment nor {self.file}"

    def _file_values(self) -> dict[str, str]:
        if self._values is None:
            self._values = read_env(self.file.read_bytes().decode("utf-8-sig")) if self.file.exists() else {}
        return self._values

    def _find(self, system: str, name: str) -> str | None:
        values = self._file_values()
        for key in (f"{system.upper()}_{name}", name):
            for source in (self._environ, values):
                if source.get(key):
                    return source[key]
        return None


def read_env(text: str) -> dict[str, str]:
    """NAME=value lines; blank lines and # comments are skipped, one pair of quotes around a value is taken off.

    Raises ValueError with the number of a line (never its text) that is none of these.
    """
    values = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, found, value = line.strip().partition("=")
        name = name.removeprefix("export ").strip()
        if not line.strip() or name.startswith("#"):
            continue
        if not found or not NAME.fullmatch(name):
            raise ValueError(f"line {number} is no NAME=value")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = value
    return values


class Mask:
    """Takes secret values out of text that is shown or kept: themselves, and as a URL holds them."""

    def __init__(self, values: Iterable[str]):
        found = {form for value in values if len(value) >= SHORTEST for form in (value, quote(value, safe=""))}
        self._values = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text with *MASKED* in the place of each value."""
        for value in self._values:
            text = text.replace(value, "*MASKED*")
        return text
