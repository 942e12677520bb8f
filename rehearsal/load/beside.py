"""A load beside something else: a test or a bench switches while it runs, then asks what was lost."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import RehearsalError
from . import series
from .clients import Sent
from .run import AFTER_END, PARTS, UP, read_sockets
from .sockets import Session, Write

JUDGING = AFTER_END + 150.0  # seconds after the word to stop until everything is counted


@dataclass
class Load:
    """A load that runs; `result`, `series` and `sockets` are there after it has ended."""

    out: Path
    result: dict[str, Any] = field(default_factory=dict)

    def sent(self) -> int:
        """Requests so far, while it runs: the lines that its processes have written."""
        parts = self.out.parent.glob(f"{PARTS}*/part-*.tsv")
        return sum(max(part.read_bytes().count(b"\n") - 1, 0) for part in parts)

    @property
    def series(self) -> list[Sent]:
        """Every request with its time."""
        return series.read(self.out.with_suffix(".tsv"))

    @property
    def sockets(self) -> tuple[list[Session], list[Write]]:
        """The sockets' lives, and the writes that they should have heard of."""
        return read_sockets(self.out)


@contextlib.contextmanager
def load(out: Path, *words: str, seconds: float, requests: int) -> Iterator[Load]:
    """Runs `python -m rehearsal.load` while the block runs, from when all sockets are up; ended with the block.

    Raises RehearsalError when the load could not be sent or judged, with what it printed.
    """
    asked = ["--out", str(out), "--seconds", str(seconds), "--requests", str(requests), *words]
    process = subprocess.Popen(
        [sys.executable, "-m", "rehearsal.load", *asked],
        cwd=paths.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Load(out)
    try:
        assert process.stdout
        first = process.stdout.readline()  # its own limits end it when it never comes up
        if not first.endswith(" up\n"):
            raise RehearsalError("the load did not come up", first + process.stdout.read(), "make rehearsal")
        yield running
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=JUDGING)
        if process.returncode not in (0, 1):
            raise RehearsalError("the load came to no verdict", printed, "run it again")
        running.result = json.loads(out.read_text())
    except subprocess.TimeoutExpired as error:
        raise RehearsalError(f"the load was not judged within {JUDGING:.0f} s", "", "run it again") from error
    finally:
        if process.poll() is None:
            process.terminate()  # its processes end when their standard input does
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(UP)
            process.kill()
