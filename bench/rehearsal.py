"""How long `make rehearsal` takes and how much memory it needs, from hosts that are down."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from bench import figures
from bench.run import BenchError, run
from rehearsal import paths

DOWN = {
    "rehearsal-warm": ["make", "rehearsal-down"],
    "rehearsal-cold": [sys.executable, "-m", "rehearsal", "down", "--images"],
}


def measure(name: str) -> dict[str, Any]:
    """Seconds and peak memory in MiB of `make rehearsal`; hosts are up afterwards. Raises BenchError."""
    if paths.OWNER != paths.ROOT:
        raise BenchError(f"these hosts are those of {paths.OWNER}, and this figure takes them down; run it there")
    print(f" {name}: hosts go down, then `make rehearsal`", flush=True)
    run(DOWN[name])
    samples, done = [_available()], threading.Event()

    def watch() -> None:
        while not done.wait(1):
            samples.append(_available())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.monotonic()
    try:
        run(["make", "rehearsal"])
    finally:
        took = time.monotonic() - began
        done.set()
        watcher.join(5)
    return {"seconds": round(took, 1), "peak_mib": figures.peak(samples)}


def _available() -> int:
    return figures.available(Path("/proc/meminfo").read_text())
