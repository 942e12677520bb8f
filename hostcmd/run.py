"""The one place where other programs are started, each with a limit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What a program left: exit code (124: its limit ran out, 127: not there), output, errors."""

    code: int
    out: str
    err: str


def run(words: Sequence[str], *, root: str, timeout: float, feed: str = "") -> Result:
    """Runs a program and waits for it.

    Arguments: its words; the root that this command works in; seconds until it is killed; what it reads.
    """
    environment = {**os.environ, "CHANGEOVER_ROOT": root, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            list(words),
            input=feed,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(124, "", f"no end within {timeout:.0f} s")
    except OSError as error:
        return Result(127, "", f"{words[0]}: {error.strerror}")
    return Result(done.returncode, done.stdout, done.stderr)


def last_line(result: Result) -> str:
    """What the program said last, for a message."""
    lines = (result.err.strip() or result.out.strip()).splitlines()
    return lines[-1].strip() if lines else f"exit code {result.code}"
