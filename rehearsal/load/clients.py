"""The clients of one process: each sends its next request when its time has come, until told to stop."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from . import http1, http2
from .connect import Answer, Lost, Target
from .mix import Deck, Item

LIMIT = 30.0  # seconds for one request, connect and slow upload included
AFTER_FAILURE = 0.05  # seconds: a gateway that refuses must not be asked as fast as the machine can
TABS = 4  # HTTP/2 clients that share a connection
# Of 20 clients: this many of each style. Closing ones are slower, so their share of the requests is smaller.
STYLES = {"h1 keep-alive": 8, "h2 keep-alive": 8, "h1 closing": 3, "h2 closing": 1}


class Client(Protocol):
    """What all styles can."""

    async def send(self, item: Item) -> Answer:
        """Sends a request once. Raises Lost, OSError, TimeoutError."""

    async def close(self) -> None:
        """Ends what is open."""


@dataclass(frozen=True)
class Sent:
    """One request as it went: start (Unix time, s), duration (ms), how it was sent, what came back; "" is no error."""

    t: float
    ms: float
    style: str
    name: str
    method: str
    slow: bool
    status: int
    error: str
    id: str
    slot: str


@dataclass
class Run:
    """What the clients of a process share: where to, how many requests they may still send, and the word to stop."""

    target: Target
    left: int
    write: Callable[[Sent], None]
    stop: asyncio.Event

    def take(self) -> bool:
        """Whether one more request may be sent; it then counts as sent."""
        if self.left < 1 or self.stop.is_set():
            return False
        self.left -= 1
        return True

    async def pause(self, seconds: float) -> None:
        """Waits, but not beyond the word to stop."""
        if seconds > 0:
            try:
                await asyncio.wait_for(self.stop.wait(), seconds)
            except TimeoutError:
                pass


def styles(count: int) -> list[str]:
    """The styles of so many clients, in STYLES' shares. Pure."""
    cycle = [name for name, share in STYLES.items() for _ in range(share)]
    spread = [cycle[at * 7 % len(cycle)] for at in range(len(cycle))]  # 7 and 20 have no common factor
    return sorted(spread[at % len(spread)] for at in range(count))


def clients(count: int, target: Target) -> list[tuple[str, Client]]:
    """So many clients, each with its style; HTTP/2 ones share connections."""
    made: list[tuple[str, Client]] = []
    for at, style in enumerate(styles(count)):
        if style == "h2 keep-alive" and at and made[-1][0] == style and at % TABS:
            made.append((style, made[-1][1]))
            continue
        kinds: dict[str, Callable[[Target], Client]] = {
            "h1 keep-alive": http1.KeepAlive,
            "h1 closing": http1.Closing,
            "h2 keep-alive": http2.KeepAlive,
            "h2 closing": http2.Closing,
        }
        made.append((style, kinds[style](target)))
    return made


async def keep_sending(run: Run, style: str, client: Client, deck: Deck, interval: float) -> None:
    """One client's life: a request each `interval` seconds (0: as fast as answers come); late ones are not made up."""
    due = time.monotonic() + random.random() * interval
    while not run.stop.is_set():
        await run.pause(due - time.monotonic())
        if not run.take():
            break
        sent = await send(run, style, client, deck.deal())
        due = max(time.monotonic(), due + interval)
        if sent.error:
            await run.pause(AFTER_FAILURE)


async def send(run: Run, style: str, client: Client, item: Item) -> Sent:
    """Sends one request, once, and writes down how it went."""
    began, clock = time.time(), time.perf_counter()
    status, slot = 0, ""
    try:
        async with asyncio.timeout(LIMIT):
            answer = await client.send(item)
        status, slot, error = answer.status, tell_slot(item, answer), judge(item, answer)
    except TimeoutError:
        error = "no answer in time"
    except (Lost, OSError) as reason:
        error = f"{type(reason).__name__}: {reason}".rstrip(": ")
    ms = (time.perf_counter() - clock) * 1000
    request = item.request
    sent = Sent(began, ms, style, request.name, request.method, request.slow, status, error, item.id, slot)
    run.write(sent)
    return sent


def judge(item: Item, answer: Answer) -> str:
    """What is wrong with an answer; "" when nothing is. Pure."""
    if answer.status != item.request.expect:
        return f"status {answer.status} instead of {item.request.expect}: {answer.body[:120].decode(errors='replace')}"
    if item.request.upload and json.loads(answer.body).get("size") != item.size:
        return f"{item.size} bytes sent, but: {answer.body[:120].decode(errors='replace')}"
    return ""


def tell_slot(item: Item, answer: Answer) -> str:
    """The slot that answered, where the answer tells it. Pure."""
    if not item.request.slot or answer.status != item.request.expect:
        return ""
    return str(json.loads(answer.body).get(item.request.slot, ""))
