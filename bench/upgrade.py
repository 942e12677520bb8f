"""A release by the deploy, with no soak and the images on the hosts: until all traffic is on it, and until the end."""

from __future__ import annotations

import time
from typing import Any

from bench.hosts import COORDINATOR, FOLDER, SYSTEM, borrowed, deploy, other
from bench.run import BenchError
from bench.traffic import last_on
from rehearsal.errors import RehearsalError
from rehearsal.load import beside

RATE = 40  # requests a second
LIMIT = 1800.0
PAUSE = 35.0  # seconds between two releases: one right behind another waits until the slot that was left has drained


def measure(runs: int) -> dict[str, Any]:
    """Seconds of so many releases, after one that is not counted: it brings the images. Raises BenchError."""
    with borrowed() as hosts:
        where = ["--gateway", f"{hosts.address[COORDINATOR]}:443", "--rate", str(RATE), "--sockets", "20"]
        times: list[tuple[float, float, str]] = []
        try:
            with beside.load((FOLDER / "upgrade.json").resolve(), *where, seconds=LIMIT, requests=100_000) as load:
                for number in range(runs + 1):
                    now = hosts.live()
                    began = time.time()
                    deploy(other(now["release"]["live"]), soak="1ms")
                    times.append((began, time.time(), now["slots"]["api"]["live"]))
                    print(f" upgrade    {times[-1][1] - began:6.1f} s{'' if number else '   not counted'}", flush=True)
                    time.sleep(PAUSE)
        except RehearsalError as error:
            raise BenchError(error.text().removeprefix("error  ")) from None
        sent = load.series
        return {
            "system": SYSTEM,
            "rate": RATE,
            "sent": load.result["sent"],
            "failed": load.result["failed"],
            "whole": [round(end - began, 2) for began, end, _ in times[1:]],
            "moved": [last_on(sent, slot, began, end) or 0.0 for began, end, slot in times[1:]],
        }
