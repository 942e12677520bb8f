"""What a run's command line may ask for. Pure, but for a look at which inventories there are."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from changeover.settings import Run

HARMLESS = ("preflight.py", "secure.py", "images.py")  # phases that touch no slot
READING = ("status.py", "rebuild_report.py")  # the runbooks that only look
ROTATION = "rotate_secrets.py"  # the runbook that ends old secrets


def refused(params: Mapping[str, Any]) -> list[str]:
    """Options and names that pyinfra takes without a word, and that hide failures; empty when all is well.

    Argument: pyinfra's own parameters.
    """
    inventory = str(params.get("inventory"))
    if inventory.endswith(".py") and not Path(inventory).exists():
        there = " ".join(sorted(str(path) for path in Path("inventories").glob("*.py"))) or "none"
        return [f"error  no inventory file {inventory}; there are: {there}"]
    if params.get("no_wait"):
        return ["error  --no-wait hides failures; leave it out"]
    if params.get("serial"):
        return ["error  --serial breaks the steps that wait for all hosts; leave it out"]
    for runbook in (word for word in words(params) if Path(word).name == ROTATION):
        for option in (name for name in ("limit", "exclude", "fail_percent") if params.get(name)):
            why = "would lock logins that hosts without the new secrets still use"
            return [f"error  --{option.replace('_', '-')} {why}; leave it out: {runbook} is for all hosts"]
    return []


def partial(params: Mapping[str, Any], run: Run) -> list[str]:
    """A release is brought by all phases in order: one alone would take the slot of the release before, unseen.

    Arguments: pyinfra's parameters; what the run asks for.
    """
    parts = [word for word in words(params) if Path(word).parent.name == "phases" and Path(word).name not in HARMLESS]
    if not parts or not run.release:
        return []
    return [
        f"error  {parts[0]} alone brings no release: it would take the slot of the release before",
        f"next   pyinfra {params.get('inventory')} deploy.py -y --data release={run.release}",
        "1 error; nothing was touched",
    ]


def again(params: Mapping[str, Any], mask: Callable[[str], str]) -> str:
    """The command that runs the same once more. pyinfra's own data (a login's password) and secrets are left out.

    Arguments: pyinfra's parameters; what a text is without the secrets of the run.
    """
    given = [str(word) for word in params.get("data") or () if str(word).partition("=")[0] in Run.model_fields]
    own = [part for word in given if mask(word) == word for part in ("--data", shlex.quote(word))]
    return " ".join(["pyinfra", shlex.quote(str(params.get("inventory"))), *words(params), "-y", *own])


def reads(params: Mapping[str, Any]) -> bool:
    """Whether a run only looks: then a host that is away is told, and stops nothing."""
    found = {Path(word) for word in words(params)}
    return bool(found) and found <= {Path("runbooks") / name for name in READING}


def words(params: Mapping[str, Any]) -> list[str]:
    """The files that a run was given."""
    return [str(word) for word in params.get("operations") or ()]
