"""What watching costs the gateway: its CPU time under a deploy's prober at its default rate, beside that at rest."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any

from bench.hosts import COORDINATOR, FOLDER, SYSTEM, Hosts
from bench.run import BenchError
from changeover.probe import Config, ProbeError, Prober, Request
from operations.watch import OPEN_EVERY
from rehearsal.load.run import target

SPAN = 20.0  # seconds of each part
SETTLE = 2.0  # seconds that connections have to open and close
# Clock ticks that nginx's processes have taken so far; they live as long as the gateway is not reloaded.
SPENT = """for pid in $(docker top gateway-nginx-1 -eo pid | sed 1d); do cut -d' ' -f14,15 /proc/$pid/stat; done |
awk '{ticks += $1 + $2} END {print ticks}'; getconf CLK_TCK"""


def measure(runs: int) -> dict[str, Any]:
    """CPU seconds a second of nginx at rest and under the prober, in turn. Raises BenchError.

    Argument: how often each.
    """
    hosts = Hosts()
    FOLDER.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[float]] = {"rest": [], "probed": []}
    sent = failed = 0
    for number in range(1, runs + 1):
        parts["rest"].append(spent(hosts))
        prober = Prober(config(hosts), FOLDER / "probe.jsonl")
        try:
            prober.start()
            time.sleep(SETTLE)
            parts["probed"].append(spent(hosts))
        except ProbeError as error:
            raise BenchError(str(error)) from None
        finally:
            found = prober.stop()
        sent, failed = sent + found["sent"], failed + found["failed"]
        print(f" watching   {number} of {runs}", flush=True)
    if failed:
        raise BenchError(f"{failed} of {sent} probes failed, so nothing was measured; look: {prober.out}")
    cores = int(hosts.shell(COORDINATOR, "nproc"))
    return {"rate": prober.config.rate, "sent": sent, "span": SPAN, "cores": cores, "seconds": parts}


def config(hosts: Hosts) -> Config:
    """As a deploy of the sample system asks (operations/watch.py), at the default rate."""
    where = target(hosts.status)
    release = runpy.run_path(str(Path("group_data") / f"{SYSTEM}.py"))[SYSTEM]["release"]
    return Config(
        base_url=f"https://{where.host}:{where.port}",
        address=where.address,
        ca=where.ca,
        requests=[Request.model_validate(one) for one in release["probe"]],
        websocket=release["websocket"],
        open_every=OPEN_EVERY,
        seconds=600,
    )


def spent(hosts: Hosts) -> float:
    """CPU seconds a second that nginx takes, for the time of one part."""
    before, began = taken(hosts), time.monotonic()
    time.sleep(SPAN)
    return (taken(hosts) - before) / (time.monotonic() - began)


def taken(hosts: Hosts) -> float:
    """CPU seconds that nginx has taken so far."""
    ticks, a_second = hosts.shell(COORDINATOR, SPENT).split()
    return int(ticks) / int(a_second)
