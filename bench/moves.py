"""Traffic moved back and forth by the host command, as a deploy and a person on call do it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.hosts import COORDINATOR, SYSTEM, Hosts, Typed
from bench.run import BenchError
from bench.traffic import Window, last_on, latencies
from rehearsal.load.clients import Sent

QUIET = 2.0  # seconds from a move from which on it is rest
AFTER = 0.5  # seconds after a command has returned that still count as its own
UPLOADS = 6.0  # seconds until what was on its way at a switch has come to its slot; `drain` without --now waits longer
READY = 120.0  # seconds for a stopped slot to be healthy
SWITCH, BACK, DRAIN = "switch", "rollback", "drain"
SLOTTED = ("api", "dashboard")


@dataclass(frozen=True)
class Move:
    """One move: of which kind, from a slot that was running or stopped, when it was asked for, and the last command."""

    kind: str
    cold: bool
    asked: float
    last: Typed
    ended: float

    def window(self) -> Window:
        """From when it was asked for until shortly after it has returned."""
        return Window(f"{self.kind}{' cold' * self.cold}", self.asked, self.ended + AFTER)


def roll_back(hosts: Hosts, cold: bool = False) -> Move:
    """Traffic goes to the release before."""
    typed = hosts.changeover(f"rollback {SYSTEM} --no-hold")
    return Move(BACK, cold, typed.typed, typed, typed.ended)


def switch(hosts: Hosts, release: str, cold: bool = False) -> Move:
    """Traffic goes to a release whose slots are there: stage, start them where they are stopped, switch, confirm."""
    staged = hosts.changeover(f"stage {SYSTEM} --release {release} --as-it-is")
    if cold:
        start_idle(hosts)
    switched = hosts.changeover(f"switch {SYSTEM} --release {release} --lease 90s")
    confirmed = hosts.changeover(f"confirm {SYSTEM}")
    return Move(SWITCH, cold, staged.typed if cold else switched.typed, switched, confirmed.ended)


def drain(hosts: Hosts) -> Move:
    """The idle slots are stopped at once: their sockets are closed with 1012."""
    typed = hosts.changeover(f"drain {SYSTEM} --now")
    return Move(DRAIN, False, typed.typed, typed, typed.ended)


def idle(hosts: Hosts) -> dict[str, str]:
    """{service: slot} of the services with traffic that have none of it now."""
    slots = hosts.live()["slots"]
    return {name: "blue" if slots[name]["live"] == "green" else "green" for name in SLOTTED}


def idle_containers(hosts: Hosts) -> dict[str, list[str]]:
    """{host: names} of the containers of the slots without traffic."""
    names = [f"{SYSTEM}-{service}-{slot}-1" for service, slot in idle(hosts).items()]
    compiled = json.loads(hosts.shell(COORDINATOR, f"cat /etc/changeover/{SYSTEM}.json"))["services"]
    found: dict[str, list[str]] = {}
    for service, name in zip(SLOTTED, names, strict=True):
        for host in compiled[service]["hosts"]:
            found.setdefault(host, []).append(name)
    return found


def start_idle(hosts: Hosts) -> None:
    """Stopped idle slots run, and are healthy. Raises BenchError."""

    def start(host: str, names: list[str]) -> None:
        hosts.shell(host, f"docker start {' '.join(names)}")
        limit = time.monotonic() + READY
        look = f"docker inspect -f '{{{{.State.Health.Status}}}}' {' '.join(names)}"
        while set(hosts.shell(host, look).split()) != {"healthy"}:
            if time.monotonic() > limit:
                raise BenchError(f"{', '.join(names)} on {host} not healthy within {READY:.0f} s")
            time.sleep(0.2)

    everywhere(start, idle_containers(hosts))


def everywhere(do: Any, where: dict[str, list[str]]) -> None:
    """Calls `do` for each host and its names, at the same time."""
    with ThreadPoolExecutor(len(where)) as pool:
        list(pool.map(do, where, where.values()))


def latency(sent: Sequence[Sent], made: Sequence[Move]) -> dict[str, dict[str, Any]]:
    """Count, failures and latency in ms at rest, in each kind of move, and in all between running slots. Pure."""
    windows = [move.window() for move in made]
    warm = [Window("move", *one[1:]) for one in windows if one.kind in (SWITCH, BACK)]
    flips = [Window("flip", move.last.moved - 0.5, move.last.moved + 1.5) for move in made if move.kind != DRAIN]
    found = latencies(sent, windows, QUIET)
    for name, times in (("move", warm), ("flip", flips)):
        found[name] = latencies(sent, times, 0).get(name, {})
    return found


def last_requests(sent: Sequence[Sent], moves: Sequence[Move]) -> dict[str, list[float]]:
    """{kind: seconds from when each move was asked for to the last request that the old slot got}. Pure.

    A kind with "ready" behind it: from when every host was ready, which is when a switch decides; before that it
    starts the new release's workers. The old slot is looked at until the next move.
    """
    found: dict[str, list[float]] = {}
    traffic = [move for move in moves if move.kind != DRAIN]
    for move, after in zip(traffic, [*traffic[1:], None], strict=True):
        until = after.asked if after else float("inf")
        kind = f"{move.kind}{' cold' * move.cold}"
        for name, since in ((kind, move.asked), (f"{kind} ready", min(move.last.ready, move.last.moved))):
            seconds = last_on(sent, move.last.was, since, until)
            found.setdefault(name, []).append(seconds or 0.0)
    return found
