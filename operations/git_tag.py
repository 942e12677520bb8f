"""A confirmed release is tagged in git (S1: `git tag -a v1.0.0 -m "Release 1.0.0"`), where this machine has a tree.

Local only: whether it is pushed is the team's to say. Nothing here ever fails a deploy.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from pyinfra.api import FunctionCommand, operation

from changeover.live import Live
from changeover.plan import Plan
from changeover.stack import new_release, wanted_release
from operations.images import RECORDED

LIMIT = 15  # seconds for one git command: a signature may be asked for, and nobody is there to give it
Said = tuple[int, str]


def name_of(plan: Plan, system: str, live: Live) -> str | None:
    """The tag that this run makes when its release is confirmed; None for none: the settings, or the same release."""
    settings, environment = plan.systems[system].release, plan.fleet.environment
    if settings.tag not in ("always", environment) or not new_release(plan, system, live):
        return None
    return spelt(plan, system, wanted_release(plan, system, live))


def spelt(plan: Plan, system: str, release: str) -> str:
    """The name of a release's tag, by the settings."""
    settings, environment = plan.systems[system].release, plan.fleet.environment
    return settings.tag_name.format(system=system, release=release, environment=environment)


def message(system: str, environment: str, release: str, txn: str, actor: str, images: Mapping[str, str]) -> str:
    """What the tag says: which bytes went where, by whom, in which run."""
    lines = [f"Release {release}", "", f"{system}, {environment}, by {actor}, {txn}"]
    return "\n".join([*lines, *sorted(set(images.values()))]) + "\n"


def git(*words: str) -> Said:
    """Runs git in this folder; its exit code, and what it printed."""
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, (done.stdout + done.stderr).strip()


def tag(name: str, text: str, run: Callable[..., Said] = git) -> str:
    """Makes an annotated tag on what is checked out, once; a line for a person, or nothing to say."""
    inside, where = run("rev-parse", "--show-toplevel")
    if inside:
        return "" if not Path(".git").exists() else f"not tagged {name}: {_last(where)}"
    if run("rev-parse", "-q", "--verify", f"refs/tags/{name}")[0] == 0:
        return ""
    _, changed = run("status", "--porcelain", "--untracked-files=no")
    if changed:
        text += "\nThe tree had changes that were not committed.\n"
    code, said = run("tag", "-a", name, "-m", text)
    if code:
        return f"not tagged {name}: {_last(said)}"
    return f"tagged {name}, on this machine only; to publish it: git push origin {name}"


def _last(said: str) -> str:
    return (said.splitlines() or ["git says nothing"])[-1].strip()


@operation(is_idempotent=False)
def tagged(
    name_: str, system: str, environment: str, release: str, txn: str, actor: str
) -> Generator[FunctionCommand]:
    """
    The tree of this machine is tagged; where that fails, a line says why, and nothing else comes of it.

    + name_: of the tag
    + system: its name
    + environment: staging or production
    + release: what was confirmed
    + txn: the run's id
    + actor: who runs it
    """

    def make(state: Any, host: Any) -> bool:
        images = RECORDED.get(system, {}).get(release, {})
        if line := tag(name_, message(system, environment, release, txn, actor, images)):
            host.log_styled(line, fg="green" if line.startswith("tagged") else "yellow")
        return True

    yield FunctionCommand(make, (), {})
