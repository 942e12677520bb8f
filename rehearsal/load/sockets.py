"""WebSockets that stay open, and the writes whose events each of them must get."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from .clients import Run, send
from .connect import LIMIT, context
from .http1 import KeepAlive
from .mix import Events, item

SPREAD = 4.0  # seconds over which the sockets of a process are opened
TAIL = 3.0  # seconds in which the last events may still come
AGAIN = (0.2, 5.0)  # seconds before the first and before later tries to reconnect
OWN = 1000  # our own close at the end


@dataclass
class Session:
    """One life of one socket; times are Unix seconds. `opened` is when the app said that it was subscribed.

    `code` is how it was closed (1000: by us, 1006: without a word); `error` says why it could not be opened.
    """

    socket: int
    tried: float
    opened: float = 0.0
    closed: float = 0.0
    code: int = 0
    error: str = ""
    received: list[int] = field(default_factory=list)


@dataclass
class Write:
    """A write that every socket must hear of: its number, when it was sent and answered, and whether it was taken."""

    number: int
    sent: float
    answered: float
    ok: bool


class Sockets:
    """The sockets of one process."""

    def __init__(self, run: Run, events: Events, prefix: str, numbers: range) -> None:
        self.run, self.events, self.prefix, self.numbers = run, events, prefix, numbers
        self.sessions: list[Session] = []
        self.writes: list[Write] = []
        self.up: set[int] = set()
        self._open: set[ClientConnection] = set()
        self._ending = False
        self._mark = re.compile(re.escape(prefix) + r"event-(\d+)\b")

    async def live(self) -> None:
        """Keeps all sockets open until told to stop, and a little longer for the last events."""
        tasks = [asyncio.create_task(self._keep(number)) for number in self.numbers]
        await self.run.stop.wait()
        await asyncio.sleep(TAIL)
        self._ending = True
        await asyncio.gather(*(socket.close(OWN) for socket in list(self._open)), return_exceptions=True)
        _, late = await asyncio.wait(tasks, timeout=10) if tasks else ((), ())
        for task in late:
            task.cancel()

    async def _keep(self, number: int) -> None:
        first, most = AGAIN
        wait = first
        await self.run.pause(random.random() * SPREAD)
        while not (self._ending or self.run.stop.is_set()):
            session = Session(number, time.time())
            self.sessions.append(session)
            try:
                await self._once(session)
            except (WebSocketException, OSError, TimeoutError) as error:
                session.error = f"{type(error).__name__}: {error}"
            session.closed = session.closed or time.time()
            wait = first if session.opened else min(wait * 2, most)
            await self.run.pause(wait * (0.5 + random.random()))

    async def _once(self, session: Session) -> None:
        target = self.run.target
        async with connect(
            f"wss://{target.authority}{self.events.websocket}",
            host=target.address,
            port=target.port,
            ssl=context(target.ca, "http/1.1"),
            server_hostname=target.host,
            proxy=None,
            compression=None,
            open_timeout=LIMIT,
            close_timeout=5,
        ) as socket:
            try:
                await asyncio.wait_for(socket.recv(), LIMIT)  # "subscribed": events from here on are ours
                session.opened = time.time()
                self.up.add(session.socket)
                self._open.add(socket)
                while True:
                    session.received += map(int, self._mark.findall(str(await socket.recv())))
            except ConnectionClosed:
                session.closed = time.time()
                session.code = OWN if self._ending else socket.close_code or 1006
            finally:
                self._open.discard(socket)

    async def write(self) -> None:
        """Writes an event each so many seconds, through whichever slot is live; in one process only."""
        client, number = KeepAlive(self.run.target), 0
        await self.run.pause(SPREAD / 2)
        while not self.run.stop.is_set() and self.run.take():
            number += 1
            made = item(self.events.write, f"{self.prefix}event-{number}")
            sent = await send(self.run, "h1 keep-alive", client, made)
            self.writes.append(Write(number, sent.t, sent.t + sent.ms / 1000, not sent.error))
            await self.run.pause(self.events.every)
        await client.close()
