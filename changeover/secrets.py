"""Secret values, looked up by name: in the environment, then in one file, then from a command.

Resolved at use, never kept in host data.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from changeover import secret_sources as sources
from changeover.secret_sources import SourceError, TookTooLong
from changeover.words import seconds

if TYPE_CHECKING:
    from changeover.plan import Plan

SHORTEST = 4  # characters; shorter values would mask ordinary words
TIMEOUT = 20.0  # seconds for a command


class Secrets:
    """Looks secrets up by name, in the order of docs/adopt.md.

    `<SYSTEM>_<NAME>` wins over `<NAME>`, so that systems can differ; the environment wins over the file; a command is
    asked for what is in neither. Arguments: the file's path (it may be absent), plain or encrypted with age; the
    environment (default: the process's); the file of the age identity, which the environment may name as well; the
    words of the command, with {name}, {system} and {environment}; seconds for each of its answers; the environment's
    name.
    """

    def __init__(
        self,
        file: Path,
        environ: Mapping[str, str] = os.environ,
        identity: Path | None = None,
        command: Sequence[str] = (),
        timeout: float = TIMEOUT,
        environment: str = "",
    ):
        self.file = file
        self._environ = environ
        self._identity = Path(environ[sources.IDENTITY]) if environ.get(sources.IDENTITY) else identity
        self._command, self._timeout, self._environment = command, timeout, environment
        self._values: dict[str, str] | None = None
        self._answers: dict[tuple[str, ...], str | SourceError] = {}

    def problems(self, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """One line for each (system, name) that is nowhere, and for a file that others can read."""
        found = []
        try:
            if not sources.is_encrypted(self.file):
                sources.private(self.file)
        except SourceError as error:
            found.append(str(error))
        try:
            self._file_values()
        except SourceError as error:
            return list(dict.fromkeys([*found, str(error)]))
        return found + [self._missing(*one) for one in wanted if self._find(*one) is None]

    def get(self, system: str, name: str) -> str:
        """The value; KeyError names the secret (never its value)."""
        value = self._find(system, name)
        if value is None:
            raise KeyError(self._missing(system, name))
        return value

    def _missing(self, system: str, name: str) -> str:
        text = f"secret {name} (system {system}) is in neither the environment nor {self.file}"
        answer = self._answer(system, name)
        return f"{text}, and {answer}" if answer is not None else text

    def _file_values(self) -> dict[str, str]:
        if self._values is None:
            self._values = sources.read(self.file, self._identity)
        return self._values

    def _find(self, system: str, name: str) -> str | None:
        values = self._file_values()
        for key in (f"{system.upper()}_{name}", name):
            for source in (self._environ, values):
                if source.get(key):
                    return source[key]
        answer = self._answer(system, name)
        return answer if isinstance(answer, str) else None

    def _answer(self, system: str, name: str) -> str | SourceError | None:
        """What the command answers, asked once; None without a command."""
        if not self._command:
            return None
        given = {"name": name, "system": system, "environment": self._environment}
        words = tuple(word.format(**given) for word in self._command)
        if words not in self._answers:
            self._answers[words] = self._ask(words)
        return self._answers[words]

    def _ask(self, words: tuple[str, ...]) -> str | SourceError:
        if any(isinstance(answer, TookTooLong) for answer in self._answers.values()):
            return SourceError("the command was not asked for it, as it took too long for another")
        try:
            return sources.ask(words, self._timeout)
        except SourceError as error:
            return error


def of(plan: Plan, folder: Path = Path()) -> Secrets:
    """Where the secrets of a plan come from. Arguments: the plan; the folder that its paths are relative to."""
    fleet = plan.fleet
    identity = folder / Path(fleet.secrets_identity).expanduser() if fleet.secrets_identity else None
    return Secrets(
        folder / plan.secrets_file(),
        identity=identity,
        command=fleet.secrets_command,
        timeout=seconds(fleet.secrets_timeout),
        environment=fleet.environment,
    )


class Mask:
    """Takes secret values out of text that is shown or kept: themselves, and as URLs, JSON and logs hold them."""

    def __init__(self, values: Iterable[str]):
        # What hosts print comes line by line, so each line of a value is one, too.
        lines = {line.strip() for value in values for line in (value, *value.splitlines())}
        found = {form for line in lines if len(line) >= SHORTEST for form in _forms(line)}
        self._values = sorted(found, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text with *MASKED* in the place of each value."""
        for value in self._values:
            text = text.replace(value, "*MASKED*")
        return text


def _forms(value: str) -> set[str]:
    """A value as it is, in a URL, in JSON, in SQL, and as Python shows it."""
    return {value, quote(value, safe=""), json.dumps(value)[1:-1], value.replace("'", "''"), repr(value)[1:-1]}
