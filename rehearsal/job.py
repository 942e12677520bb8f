"""The main job after the hosts are up: deploy, seed, verify; one line a step, the logs in .rehearsal/logs."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from . import paths
from .shell import Shell

INVENTORY = "inventories/staging.py"
PYINFRA = [str(Path(sys.executable).with_name("pyinfra")), INVENTORY]
SUMMARY = re.compile(r"^ (done|failed|interrupted|report|where|why|next) ")


def job(shell: Shell, verify: bool = True) -> list[str]:
    """Deploys every system at its live (or first) release, loads the samples' seed data, asserts the servers' state.

    Returns the deploy's last block. Raises RehearsalError with the last lines of the log that matters.
    """
    summary = deploy(shell)
    for system, seed in seeds().items():
        with shell.progress.step(f"{system} seed data") as step:
            step.outcome = load(shell, system, seed)
    if verify:
        with shell.progress.step("server state") as step:
            step.outcome = assert_servers(shell)
    return summary


def deploy(shell: Shell, *words: str) -> list[str]:
    """Runs deploy.py with further words; returns its last block."""
    with shell.progress.step("deploy") as step:
        again = f"{shell_words(PYINFRA)} deploy.py -y"
        printed = shell.run([*PYINFRA, "deploy.py", "-y", *words], "deploy", limit=1200, next_command=again)
        block = [line for line in printed.splitlines() if SUMMARY.match(line)]
        step.outcome = block[0].split("staging: ")[-1].rsplit(" (", 1)[0] if block else "done"
    return block


def seeds() -> dict[str, dict[str, Any]]:
    """{system: {"service", "command"}} of the samples that bring seed data (examples/*/seed.json)."""
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(paths.ROOT.glob("examples/*/seed.json"))}


def load(shell: Shell, system: str, seed: dict[str, Any]) -> str:
    """Runs a sample's own loader in its image on the first host of its service; it does nothing the second time."""
    run = f"sudo docker compose -f /srv/{system}/compose.yaml run --rm --no-deps -T {seed['service']} {seed['command']}"
    words = ["ssh", "-F", str(paths.STATE / "ssh_config"), seed["host"], run]
    printed = shell.run(words, f"seed-{system}", limit=600, next_command=shell_words(words))
    return (printed.strip().splitlines() or ["loaded"])[-1][:48]


def assert_servers(shell: Shell) -> str:
    """Runs the testinfra suite; returns its closing words."""
    words = [sys.executable, "-m", "pytest", "tests/server", "--inventory", INVENTORY, "-q", "--no-header"]
    printed = shell.run(words, "server-tests", limit=600, env={"COLUMNS": "120"}, next_command=shell_words(words))
    return printed.strip().splitlines()[-1].strip("= ")[:48]


def shell_words(words: list[str]) -> str:
    """Words as a person types them from the repository's root."""
    root = f"{os.fspath(paths.ROOT)}/"
    return " ".join(word.removeprefix(root) for word in words)
