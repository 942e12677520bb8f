"""One process of the load: its order is one line of JSON on standard input, the end of which is the word to stop."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

from . import mix
from .clients import Run, Sent, clients, keep_sending
from .connect import Target
from .mix import Deck
from .sockets import Sockets


@dataclass(frozen=True)
class Order:
    """What a process is to do: `rate` in requests a second (0: as many as it can), `sockets` are numbers from, to."""

    number: int
    target: Target
    mix: str
    prefix: str
    seconds: float
    requests: int
    rate: float
    clients: int
    sockets: tuple[int, int]
    part: str

    def line(self) -> bytes:
        """The order as it is handed over."""
        return json.dumps(asdict(self)).encode() + b"\n"


def read(line: bytes) -> Order:
    """The order of a line."""
    raw = json.loads(line)
    return Order(**{**raw, "target": Target(**raw["target"]), "sockets": tuple(raw["sockets"])})


async def work(order: Order) -> None:
    """Sends until the time is over, the requests are used up, or standard input ends; then writes its part down."""
    found = mix.read(Path(order.mix))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing more is ever sent to us: it is the end
    loop.call_later(order.seconds, stop.set)
    with Path(f"{order.part}.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerow([field.name for field in fields(Sent)])

        def write(sent: Sent) -> None:
            rows.writerow((f"{sent.t:.4f}", f"{sent.ms:.2f}", *astuple(sent)[2:]))

        run = Run(order.target, order.requests, write, stop)
        sockets = None
        background = []
        if found.events:
            sockets = Sockets(run, found.events, order.prefix, range(*order.sockets))
            background.append(asyncio.create_task(sockets.live()))
            if order.number == 0:
                background.append(asyncio.create_task(sockets.write()))
        interval = order.clients / order.rate if order.rate else 0.0
        deck = Deck(found, f"{order.prefix}{order.number}-", seed=order.number)
        all_of_them = clients(order.clients, order.target)
        tell = asyncio.create_task(_tell_when_up(sockets, order))
        await asyncio.gather(*(keep_sending(run, style, one, deck, interval) for style, one in all_of_them))
        stop.set()
        for _, one in all_of_them:  # only now: HTTP/2 clients share connections
            await one.close()
        await asyncio.gather(tell, *background)
    result = {
        "sessions": [asdict(session) for session in sockets.sessions] if sockets else [],
        "writes": [asdict(one) for one in sockets.writes] if sockets else [],
    }
    Path(f"{order.part}.json").write_text(json.dumps(result))


async def _tell_when_up(sockets: Sockets | None, order: Order) -> None:
    """One line on standard output when every socket was open once, or after 20 s; the load runs from the start."""
    for _ in range(200):
        if not sockets or len(sockets.up) >= order.sockets[1] - order.sockets[0] or sockets.run.stop.is_set():
            break
        await asyncio.sleep(0.1)
    print("up", flush=True)


if __name__ == "__main__":
    # Unbuffered: a buffer would swallow the end of input that the loop waits for.
    asyncio.run(work(read(open(0, "rb", buffering=0, closefd=False).readline())))
