"""A whole run: processes started, stopped and waited for within a limit, their parts put together and judged."""

from __future__ import annotations

import csv
import dataclasses
import ipaddress
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import paths, state
from ..errors import RehearsalError
from . import count, heard, mix, series
from .clients import Sent
from .connect import Target
from .sockets import Session, Write
from .worker import Order

AFTER_END = 60.0  # seconds a process may take to finish what is on its way
PARTS = ".load-"  # beginning of the folder beside OUT in which the processes write while they run
UP = 25.0  # seconds until every process has said that it is up


@dataclass(frozen=True)
class Options:
    """What is asked for. `rate`: requests a second in all, 0 for as many as go; `windows`: a file of switch times;
    `gateway`: another address and port of the rehearsal's than the published ones."""

    out: Path
    seconds: float
    requests: int
    mix: Path
    rate: float = 0.0
    clients: int = 40
    sockets: int = 200
    processes: int = 0
    windows: Path | None = None
    gateway: tuple[str, int] | None = None


def target(status: dict[str, Any], instead: tuple[str, int] | None = None) -> Target:
    """Where the load goes: the rehearsal's gateway, or another address and port of its hosts.

    Raises RehearsalError when the hosts are down, or when that is somewhere else.
    """
    if status.get("state") != "up":
        raise RehearsalError("the rehearsal's hosts are not up", f"state: {status.get('state')}", "make rehearsal")
    gateway = status["gateway"]
    address, port = instead or (gateway["address"], gateway["https_port"])
    own = {host["address"] for host in status["hosts"].values()}
    if not ipaddress.ip_address(address).is_loopback and address not in own:
        raise RehearsalError(f"no load is sent to {address}", "it is none of the rehearsal's hosts", "make rehearsal")
    name = gateway["url"].removeprefix("https://").partition(":")[0]
    return Target(name, port, address, gateway["ca"])


def orders(options: Options, where: Target, prefix: str, folder: Path) -> list[Order]:
    """What each process is to do; together never more than was asked for. Pure."""
    processes = options.processes or os.cpu_count() or 1

    def share(total: int, at: int) -> int:
        return total // processes + (at < total % processes)

    found, first = [], 0
    for at in range(processes):
        number = share(options.sockets, at)
        found.append(
            Order(
                number=at,
                target=where,
                mix=str(options.mix),
                prefix=prefix,
                seconds=options.seconds,
                requests=share(options.requests, at),
                rate=options.rate / processes,
                clients=share(options.clients, at),
                sockets=(first, first + number),
                part=str(folder / f"part-{at}"),
            )
        )
        first += number
    return found


def run(options: Options, stop: threading.Event, say: Callable[[str], None]) -> dict[str, Any]:
    """Sends the load and judges it; `stop` ends it early. Writes OUT, and OUT's .tsv and .sockets.json beside it.

    Raises RehearsalError when the load could not be sent: then nothing is known.
    """
    status = state.read()
    found = mix.read(options.mix)
    where = target(status, options.gateway)
    prefix = f"load-{secrets.token_hex(4)}-"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out.parent, prefix=PARTS) as folder:
        todo = orders(options, where, prefix, Path(folder))
        _processes(todo, options.seconds, stop, say)
        _merge(todo, options.out)
    sent = series.read(options.out.with_suffix(".tsv"))
    windows = _windows(options.windows)
    sessions, writes = read_sockets(options.out)
    result: dict[str, Any] = {"prefix": prefix, "target": dataclasses.asdict(where), **series.totals(sent)}
    if windows:
        result["switches"] = series.compare(sent, windows)
    if found.events and options.sockets:
        result["sockets"] = heard.judge(sessions, writes, windows)
    if found.count:
        result["rows"] = _rows(sent, found.count, status["ssh"]["config"], prefix)
    judged = [result[part]["ok"] for part in ("sockets", "rows") if part in result]
    result["ok"] = bool(sent) and not result["failed"] and all(judged)
    result["seconds"] = series.by_second(sent)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _rows(sent: Sequence[Sent], how: mix.Count, ssh_config: str, prefix: str) -> dict[str, Any]:
    try:
        return count.judge(sent, count.rows(how, ssh_config, prefix))
    except RehearsalError as error:  # a fault may have taken the database; the requests were sent all the same
        return {"ok": False, "error": error.text()}


def _processes(todo: Sequence[Order], seconds: float, stop: threading.Event, say: Callable[[str], None]) -> None:
    words = [sys.executable, "-m", "rehearsal.load.worker"]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for order in todo:
            one = subprocess.Popen(words, cwd=paths.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            running.append(one)
            assert one.stdin
            one.stdin.write(order.line())
            one.stdin.flush()
        threading.Thread(target=_tell_up, args=(running, say), daemon=True).start()
        end = time.monotonic() + seconds + UP
        while not stop.is_set() and time.monotonic() < end and any(one.poll() is None for one in running):
            stop.wait(0.2)
        for one in running:
            assert one.stdin
            one.stdin.close()  # the word to stop
        codes = [one.wait(AFTER_END) for one in running]
    except subprocess.TimeoutExpired as error:
        raise RehearsalError(f"the load did not end within {AFTER_END:.0f} s", "", "run it again") from error
    finally:
        for one in running:
            if one.poll() is None:
                one.kill()
                one.wait()
    if any(codes):
        raise RehearsalError("a process of the load broke off", f"exit codes {codes}, see above", "run it again")


def _tell_up(running: Sequence[subprocess.Popen[bytes]], say: Callable[[str], None]) -> None:
    if all(one.stdout and one.stdout.readline() for one in running):
        say("up")


def _merge(todo: Sequence[Order], out: Path) -> None:
    with out.with_suffix(".tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        for order in todo:
            with Path(f"{order.part}.tsv").open(newline="") as part:
                lines = csv.reader(part, delimiter="\t")
                head = next(lines)
                if order is todo[0]:
                    rows.writerow(head)
                rows.writerows(lines)
    parts = [json.loads(Path(f"{order.part}.json").read_text()) for order in todo]
    both = {key: [one for part in parts for one in part[key]] for key in ("sessions", "writes")}
    out.with_suffix(".sockets.json").write_text(json.dumps(both))


def read_sockets(out: Path) -> tuple[list[Session], list[Write]]:
    """The sockets' lives and the events' writes of a run."""
    raw = json.loads(out.with_suffix(".sockets.json").read_text())
    return [Session(**one) for one in raw["sessions"]], [Write(**one) for one in raw["writes"]]


def _windows(path: Path | None) -> list[series.Window]:
    """The switch times: lines of `[from, until]`, Unix times in seconds. Raises RehearsalError."""
    if not path:
        return []
    try:
        pairs = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [(float(since), float(until)) for since, until in pairs]
    except (OSError, ValueError, TypeError) as error:
        raise RehearsalError(f"{path} holds no switch times", f"{error}", "one [from, until] a line") from error
