"""python -m rehearsal.load: heavy load on the rehearsal's gateway; tells what was lost, when, and of which kind.

Exit code 0: nothing was lost; 1: something was (the file has it); 2: the load could not be sent.
SIGTERM or Ctrl-C ends it early: what is on its way is finished, then it is judged all the same.
"""

from __future__ import annotations

import argparse
import ipaddress
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import paths
from ..errors import RehearsalError
from .run import Options, run

MIX = paths.ROOT / "examples/tasktracker/load.json"


def within(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], Any]:
    """An argument's type: a number with bounds."""

    def read(text: str) -> float:
        number = kind(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{least:g} to {most:g}")
        return number

    read.__name__ = "number"
    return read


def place(text: str) -> tuple[str, int]:
    """ADDRESS:PORT, an IP address and a port."""
    address, _, port = text.rpartition(":")
    try:
        return str(ipaddress.ip_address(address.strip("[]"))), int(port)
    except ValueError:
        raise argparse.ArgumentTypeError("an IP address and a port: 127.0.0.1:8443") from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m rehearsal.load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--seconds", type=within(float, 1, 3600), required=True, help="at most so long, 1 to 3600")
    made.add_argument("--requests", type=within(int, 1, 1_000_000), required=True, help="at most so many")
    made.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="totals; FILE.tsv has each request")
    made.add_argument("--rate", type=within(float, 0, 5000), default=0.0, help="requests a second; 0: all that go")
    made.add_argument("--clients", type=within(int, 1, 400), default=40, help="requests at a time (%(default)s)")
    made.add_argument("--sockets", type=within(int, 0, 1000), default=200, help="WebSockets (%(default)s)")
    made.add_argument("--processes", type=within(int, 0, 16), default=0, help="0: one for each core")
    made.add_argument("--mix", type=Path, default=MIX, help="what is sent (examples/tasktracker/load.json)")
    made.add_argument("--switches", type=Path, metavar="FILE", help="lines of [from, until], read at the end")
    made.add_argument("--gateway", type=place, metavar="ADDRESS:PORT", help="another one of the rehearsal's hosts")
    return made


def main(words: list[str] | None = None) -> int:
    """Sends and judges; returns the exit code."""
    asked = parser().parse_args(words)
    options = Options(
        out=asked.out.resolve(),
        seconds=asked.seconds,
        requests=int(asked.requests),
        mix=asked.mix.resolve(),
        rate=asked.rate,
        clients=int(asked.clients),
        sockets=int(asked.sockets),
        processes=int(asked.processes),
        windows=asked.switches,
        gateway=asked.gateway,
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        result = run(options, stop, lambda text: print(f" load       {text}", flush=True))
    except RehearsalError as error:
        print(error.text(), file=sys.stderr)
        return 2
    print("\n".join(describe(result, asked.out)), flush=True)
    return 0 if result["ok"] else 1


def describe(result: dict[str, Any], out: Path) -> list[str]:
    """The result for people, as lines. Pure."""
    lines = [
        f" sent       {result['sent']} ({result['per_second']}/s), {result['failed']} failed, "
        f"{result['posts_with_id']} written with an id",
        f" latency    p50 {result.get('p50')} ms, p95 {result.get('p95')} ms, p99 {result.get('p99')} ms",
    ]
    lines += [f" failed     {group['count']} x {name}" for name, group in result["failures"].items()]
    rows = result.get("rows")
    if rows and "error" in rows:
        lines += [" rows       not counted", rows["error"]]
    elif rows:
        lines.append(
            f" rows       {rows['rows']} of {rows['answered']} answered; lost {rows['lost']['count']}, twice "
            f"{rows['twice']['count']}, unknown {rows['unknown']['count']}, "
            f"written though failed {rows['written_though_failed']}"
        )
    if sockets := result.get("sockets"):
        events = sockets["events"]
        closes = ", ".join(f"{count} {code}" for code, count in sockets["closes"].items())
        lines.append(
            f" sockets    {sockets['sockets']}: closed {closes}; not opened {sockets['not_opened']['count']}; "
            f"events {events['received']}, missed {events['missed']} of {events['expected']}"
        )
    if switches := result.get("switches"):
        p99 = [switches[part].get("p99") for part in ("rest", "switch")]
        lines.append(f" switches   {switches['windows']}: p99 {p99[0]} ms at rest, {p99[1]} ms during them")
    return [*lines, f" file       {out}"]


if __name__ == "__main__":
    sys.exit(main())
