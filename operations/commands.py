"""A team's own programs on this machine as steps of a release: with their secrets and limits, their output kept."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Literal

from pyinfra.api import FunctionCommand, deploy, operation

from changeover.candidates import variables
from changeover.plan import Plan
from changeover.record import Check
from changeover.report import duration
from changeover.settings import Command
from changeover.settings_tests import Program
from changeover.words import seconds
from operations import flow, process, run

TAIL = 15  # lines of a program's output in a message
FOLLOW: dict[str, Callable[[], list[str]]] = {}  # system -> its commands after a way back of this run


@deploy("commands")
def commands(plan: Plan, system: str, when: str, release: str, previous: str) -> None:
    """The team's own commands have run. Arguments as in steps."""
    steps(plan, system, when, release, previous)


def steps(plan: Plan, system: str, when: str, release: str, previous: str) -> None:
    """The team's own commands, one after the other; called for the coordinator, which does nothing in them.

    Arguments: the plan; the system; "before" or "after"; the release that goes live; the one before it.
    """
    for number, one in enumerate(plan.systems[system].release.commands):
        if one.when == when:
            given = {"RELEASE": release, "PREVIOUS": previous}
            hide = hidden(plan)
            name = flow.at_most(f"{system}: {one.name}", seconds(one.timeout))
            ran(name=name, system=system, number=number, one=one, given=given, hide=hide)


def after(plan: Plan, system: str, release: str, previous: str) -> list[str]:
    """The commands that follow a way back; what went wrong, or nothing. Arguments as in commands."""
    given = {"RELEASE": release, "PREVIOUS": previous}
    found = enumerate(plan.systems[system].release.commands)
    return [
        line
        for number, one in found
        if one.when == "after"
        for line in carried_out(system, number, one, given, hidden(plan))
    ]


def follow(system: str) -> list[str]:
    """What follows a way back that this run took; what went wrong, or nothing."""
    return FOLLOW[system]() if system in FOLLOW else []


@operation(is_idempotent=False)
def ran(system: str, number: int, one: Command, given: Mapping[str, str], hide: set[str]) -> Generator[FunctionCommand]:
    """
    A command of the team's own has ended with exit code 0.

    + system: its name
    + number: of the command
    + one: its settings
    + given: RELEASE and PREVIOUS
    + hide: names of secrets that it has no business with
    """

    def go(state: Any, host: Any) -> bool:
        wrong = carried_out(system, number, one, given, hide)
        return not wrong or flow.fail_here(host, wrong)

    yield FunctionCommand(go, (), {})


def carried_out(system: str, number: int, one: Command, given: Mapping[str, str], hide: set[str]) -> list[str]:
    """Runs a command and notes it for the record; what went wrong, or nothing. Arguments as in ran."""
    began = time.monotonic()
    key = f"{system}.release.commands.{number}"
    try:
        ended = execute(system, one, given, hide)
    except OSError as error:
        ended = process.Ended(127, str(error))
    text = run.mask(ended.output)
    file = flow.keep(f"command-{system}-{number}.txt", text)
    how = "took over " + one.timeout if ended.code is None else f"ended with exit code {ended.code}"
    evidence = f"{how} ({duration(time.monotonic() - began)}); output: {file}"
    verdict: Literal["pass", "fail"] = "pass" if ended.code == 0 else "fail"
    flow.CHECKS.append(Check(item=f"{system}: {one.name}", source=key, verdict=verdict, evidence=evidence))
    if ended.code == 0:
        return []
    again = shlex.join(["env", *(f"{name}={value}" for name, value in given.items()), *one.run])
    undone = (
        f"nothing was switched; {given['PREVIOUS'] or 'nothing'} serves as before"
        if one.when == "before"
        else f"{given['RELEASE']} is live and stays so; when it is mended: cd {shlex.quote(one.folder)} && {again}"
    )
    return [
        f"{one.name}: {how} ({key}); the last lines:",
        *(f"  {line}" for line in text.splitlines()[-TAIL:]),
        f"the whole output: {flow.report_folder() / file}",
        undone,
    ]


def execute(system: str, one: Program, given: Mapping[str, str], hide: set[str]) -> process.Ended:
    """Runs a team's program with its variables and secrets, and no others'. Raises OSError when it cannot start.

    Arguments: the system; the program's settings; what the deploy sets; names of secrets that are not its business.
    """
    secrets = {name: run.secrets().get(system, name) for name in one.secrets}
    own = {**os.environ, "PATH": process.programs()}
    env = variables(own, one, given, secrets, hide)
    return process.run(one.run, Path(one.folder), env, seconds(one.timeout))


def hidden(plan: Plan) -> set[str]:
    """Names under which this process's environment may hold secrets of any system (changeover/secrets.py)."""
    return {key for system, secret in plan.secrets_wanted() for key in (secret, f"{system.upper()}_{secret}")}


def missing(key: str, one: Program) -> list[str]:
    """What this machine does not have of what a program needs. Arguments: its key in the settings; its settings."""
    if not Path(one.folder).is_dir():
        return [f"{key}.folder: no folder {one.folder} on this machine"]
    if not (process.find(one.run[0]) or (Path(one.folder) / one.run[0]).is_file()):
        return [f"{key}.run: no program {one.run[0]} on this machine; install it, or give its path"]
    return []
