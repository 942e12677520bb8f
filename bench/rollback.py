"""How long the old slot still gets requests after somebody has decided: from slots that run, and that are stopped."""

from __future__ import annotations

import time
from typing import Any

from bench import moves
from bench.hosts import COORDINATOR, FOLDER, borrowed, deploy, other
from bench.run import BenchError
from rehearsal.errors import RehearsalError
from rehearsal.load import beside

RATE = 60  # requests a second: the hosts are not busy, as after a bad release in the night
PAUSE = 4.0  # seconds between two moves
LIMIT = 1800.0


def measure(times: int) -> dict[str, Any]:
    """Seconds of so many moves of each kind. Raises BenchError."""
    with borrowed() as hosts:
        release = other(hosts.live()["release"]["live"])
        print(f" rollback   {release} goes to the idle slots", flush=True)
        deploy(release, soak="1ms", keep_warm="2h")
        where = ["--gateway", f"{hosts.address[COORDINATOR]}:443", "--rate", str(RATE), "--sockets", "50"]
        made: list[moves.Move] = []
        try:
            with beside.load((FOLDER / "rollback.json").resolve(), *where, seconds=LIMIT, requests=150_000) as load:
                for cold in [False] * times + [True] * times:
                    for kind in (moves.BACK, moves.SWITCH):
                        time.sleep(moves.UPLOADS if cold else PAUSE)
                        if cold:
                            moves.drain(hosts)
                        made.append(
                            moves.roll_back(hosts, cold) if kind == moves.BACK else moves.switch(hosts, release, cold)
                        )
                    print(f" rollback   {len(made)} of {times * 4} moves", flush=True)
                time.sleep(PAUSE)
        except RehearsalError as error:
            raise BenchError(error.text().removeprefix("error  ")) from None
        sent = load.result["sent"]
        return {
            "rate": RATE,
            "sent": sent,
            "failed": load.result["failed"],
            "seconds": moves.last_requests(load.series, made),
            "latency": moves.latency(load.series, made),
        }
