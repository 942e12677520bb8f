"""Zero lost requests: a load, and traffic that moves back and forth under it; control groups that must lose some."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import control, moves
from bench.hosts import COORDINATOR, FOLDER, Hosts, borrowed, deploy, other
from bench.moves import Move
from bench.run import BenchError
from rehearsal.errors import RehearsalError
from rehearsal.load import beside

RATE = 220  # requests a second that are tried; clients that are late do not make up, so fewer come of it
SOCKETS = 200
STILL = 30.0  # seconds at rest before the first move
PERIOD = 15.0  # seconds for a way back and a switch
DRAIN_EVERY = 10  # ways back and forth after which the idle slot is stopped: the next way back starts it
LIMIT = 2400.0  # seconds for the whole load
MOST = 600_000  # requests
EVERY = 30.0  # seconds between two lines of progress


@dataclass
class Journey:
    """The moves so far, and when something was last said."""

    hosts: Hosts
    load: beside.Load
    release: str
    moves: list[Move] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        """One line each EVERY seconds."""
        if time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            count = sum(move.kind != moves.DRAIN for move in self.moves)
            print(
                f" release    {self.told - self.began:4.0f} s  {self.load.sent()} requests, {count} moves", flush=True
            )

    def wait(self, until: float) -> None:
        """Waits until then (monotonic, s)."""
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            self.tell()

    def there_and_back(self, times: int) -> None:
        """Goes back and forth so many times; now and then the slot that was left is stopped meanwhile."""
        self.wait(self.began + STILL)
        cold = False
        for number in range(1, times + 1):
            began = time.monotonic()
            self.moves.append(moves.roll_back(self.hosts, cold))
            self.wait(began + PERIOD * 0.4)
            self.moves.append(moves.switch(self.hosts, self.release))
            cold = number % DRAIN_EVERY == 0 and number < times
            if cold:
                self.wait(time.monotonic() + moves.UPLOADS)
                self.moves.append(moves.drain(self.hosts))
                began = time.monotonic()
            self.wait(began + PERIOD)


def measure(requests: int, times: int) -> dict[str, Any]:
    """Losses, latencies and times of at least so many requests over so many switches and ways back.

    Raises BenchError when it cannot be measured, and when a control group loses nothing.
    """
    with borrowed() as hosts:
        release = other(hosts.live()["release"]["live"])
        print(f" release    {release} goes to the idle slots", flush=True)
        deploy(release, soak="1ms", keep_warm="2h")
        folder = FOLDER.resolve()
        load = ["--rate", str(RATE), "--sockets", str(SOCKETS)]
        straight = ["--gateway", f"{hosts.address[COORDINATOR]}:443"]  # not through the engine's port proxy
        switches = folder / "switches"
        words = [*load, *straight, "--switches", str(switches)]
        try:
            with beside.load(folder / "release.json", *words, seconds=LIMIT, requests=MOST) as running:
                journey = Journey(hosts, running, release)
                journey.there_and_back(times)
                while running.sent() < requests:
                    journey.wait(time.monotonic() + 2)
                    if time.monotonic() - journey.began > LIMIT:
                        raise BenchError(f"only {running.sent()} of {requests} requests in {LIMIT:.0f} s")
                write_windows(switches, journey.moves)
        except RehearsalError as error:
            raise BenchError(error.text().removeprefix("error  ")) from None
        controls = control.measure(hosts, folder, load)
        return {**judged(running, journey.moves), "rate": RATE, "quiet": moves.QUIET, "control": controls}


def write_windows(path: Path, made: list[Move]) -> None:
    """The switches' times, as the load wants them: who was connected before one, and heard after it."""
    traffic = [move for move in made if move.kind != moves.DRAIN]
    path.write_text("".join(f"{json.dumps([move.asked, move.ended])}\n" for move in traffic))


def judged(load: beside.Load, made: list[Move]) -> dict[str, Any]:
    """The figure, of what the load and the moves say."""
    sent, result = load.series, load.result
    counts = {kind: sum(move.kind == kind for move in made) for kind in (moves.SWITCH, moves.BACK, moves.DRAIN)}
    kept = ("sent", "failed", "per_second", "posts", "posts_with_id", "by_style", "by_slot", "rows", "sockets")
    failures = {name: kind["count"] for name, kind in result["failures"].items()}
    return {
        **{key: result[key] for key in kept},
        "failures": failures,
        "moves": counts,
        "latency": moves.latency(sent, made),
        "last_on_old": moves.last_requests(sent, made),
    }
