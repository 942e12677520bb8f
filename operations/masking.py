"""Nothing that this process prints or leaves in pyinfra's own log holds a secret."""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOG = Path("pyinfra-debug.log")  # where pyinfra writes the trace of an error inside it


def over_all(mask: Callable[[str], str]) -> None:
    """From here on both streams are masked, whoever writes: pyinfra, click, gevent's traces. Argument: the mask."""
    for stream in (sys.stdout, sys.stderr):
        _masked(stream, mask)
    atexit.register(_file, LOG, time.time(), mask)


def _masked(stream: Any, mask: Callable[[str], str]) -> None:
    write = stream.write
    stream.write = lambda text: write(mask(text))


def _file(file: Path, since: float, mask: Callable[[str], str]) -> None:
    """A trace may quote a host. Arguments: the file; when this run began; the mask."""
    if file.exists() and file.stat().st_mtime >= since:
        file.chmod(0o600)
        file.write_text(mask(file.read_text()))
