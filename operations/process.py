"""A team's own program on this machine: ended in time with all its children, whatever becomes of this run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5  # seconds between SIGTERM and SIGKILL
MOST = 8 << 20  # bytes of output that are kept: the end
# Its standard input ends when this run does, however that is; then nothing of the group is left.
GUARD = 'cat > /dev/null; kill -s KILL -- "-$1"'


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (None: it took too long), and what it printed."""

    code: int | None
    output: str


def programs() -> str:
    """PATH with the programs of the Python that runs this first: a venv need not be activated."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def find(program: str) -> str | None:
    """Where a program lies; None when it is nowhere."""
    return shutil.which(program, path=programs())


def run(words: Sequence[str], folder: Path, env: Mapping[str, str], limit: float) -> Ended:
    """Runs a program in a process group of its own until it ends or the limit is over; none of the group is left.

    Arguments: program and words; its folder; its whole environment; seconds. Raises OSError when it cannot start.
    """
    # The file has no name, so nobody but these processes can read what is not masked yet.
    with tempfile.TemporaryFile() as output:
        program = [find(words[0]) or words[0], *words[1:]]
        process = subprocess.Popen(
            program, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )
        try:
            code = _wait(process, limit)
        finally:
            _signal(process.pid, signal.SIGKILL)
            process.wait(GRACE)
            guard.kill()
            guard.communicate()
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - MOST))
        return Ended(code, output.read().decode(errors="replace"))


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return None


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
