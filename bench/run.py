"""Runs a command with a limit; a failure is one message with its last lines."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

LIMIT = 1800  # seconds; the longest is a cold rehearsal


class BenchError(Exception):
    """A measurement that could not be made: what, why, and where to look."""


def run(
    command: list[str], env: Mapping[str, str] | None = None, limit: float = LIMIT
) -> subprocess.CompletedProcess[str]:
    """The finished command, output as text. Raises BenchError when it fails or takes longer than `limit` (s).

    It has a session of its own: a Ctrl-C is for this program, which ends it, or lets it finish what must be finished.
    """
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            env=env,
            capture_output=True,
            text=True,
            timeout=limit,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"did not end well: {shown}\n{error}") from None
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BenchError(f"exit code {done.returncode}: {shown}\n{last}")
    return done
