"""Ending a host's part of the run with a clear line instead of a trace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import click
from pyinfra import host
from pyinfra.api import FunctionCommand, operation

from changeover.record import Check

FAILURES: dict[str, list[str]] = {}  # host -> lines that its part of the run ended with
CHECKS: list[Check] = []  # what was asked of a release and how it answered, for the record
NOTES: list[str] = []  # what a person should know, and what stops nothing; the run's last lines say it again
FILES: dict[str, Path] = {}  # name in the report's folder -> where the file lies until the run ends
REPORT: list[Callable[[], Path]] = []  # the recorder's word on where this run's report will be
LIMITS: dict[str, float] = {}  # step -> seconds that it may take on a host, for whoever waits for it
DOING: dict[str, str] = {}  # system -> how far the step that runs is with it, in words; forgotten with the step
FRAMED: list[object] = []  # what frames this run by phase, if anything does: it says the plan itself
INVENTORY: list[str] = []  # the file that this run was given; messages name the next command with it


def ready(line: str) -> str:
    """A line whose next command can be pasted: `pyinfra INVENTORY ...` with this run's own inventory."""
    return line.replace("pyinfra INVENTORY ", f"pyinfra {INVENTORY[-1]} ") if INVENTORY else line


def note(line: str) -> None:
    """A line that stops nothing; said now, and again when the run ends. Said once, however often it is found."""
    line = ready(line)
    if line not in NOTES:
        NOTES.append(line)
        colour = False if os.environ.get("NO_COLOR") else None
        click.secho(f" note        {line}", fg="yellow", err=True, color=colour)


def at_most(name: str, limit: float) -> str:
    """The name of a step, of which the terminal now knows how long it may take. Arguments: name; seconds."""
    LIMITS[name] = max(limit, LIMITS.get(name, 0))
    return name


def report_folder() -> Path:
    """Where the report of this run will be."""
    return REPORT[-1]() if REPORT else Path("reports")


def keep(name: str, text: str) -> str:
    """Keeps a text for the report's folder, unread by others until then; its name there."""
    folder = Path("reports")
    folder.mkdir(mode=0o700, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix=".kept-", dir=folder)
    with open(handle, "w") as file:
        file.write(text)
    FILES[name] = Path(path)
    return name


def failure(lines: Sequence[str]) -> FunctionCommand:
    """A command that fails this host and prints these lines."""

    return FunctionCommand(lambda state, host: fail_here(host, lines), (), {})


def fail_here(host: Any, lines: Sequence[str]) -> bool:
    """Prints why this host's part ends, keeps it for the record, and gives False, which fails it."""
    FAILURES[host.name] = [ready(line) for line in lines]
    for line in FAILURES[host.name]:
        host.log_styled(line, fg="red")
    return False


@operation(is_idempotent=False)
def require(problems: Sequence[str], fact: str) -> Generator[FunctionCommand]:
    """
    Fails the host when there are problems; changes nothing.

    + problems: what was found, each with the command that mends it
    + fact: what is true when there are none
    """
    if problems:
        yield failure(problems)
    else:
        host.noop(fact)


@operation()
def barrier() -> Generator[FunctionCommand]:
    """
    Nothing; but nothing after it begins on any host before all hosts have come here.

    pyinfra only keeps each host's own order: operations of different hosts have none among them.
    """
    host.noop("all hosts are here")
    yield from ()
