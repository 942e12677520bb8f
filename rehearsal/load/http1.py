"""HTTP/1.1 over h11: one request at a time on a connection, each sent once."""

from __future__ import annotations

import asyncio

import h11

from .connect import AGENT, READ, Answer, Lost, Target
from .mix import Item


class Connection:
    """One connection, for one request after the other."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target, self._reader, self._writer = target, reader, writer
        self._machine = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        """Whether a new request may go out: the gateway has not closed it, as far as is known here."""
        return self._machine.our_state is h11.IDLE and not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, item: Item, close: bool) -> Answer:
        """Sends a request and reads its answer; with `close` it asks the gateway to close then. Raises Lost."""
        try:
            await self._write(item, close)
            answer = await self._read()
        except h11.RemoteProtocolError as error:
            raise Lost(f"{error}") from error
        if self._machine.our_state is h11.DONE and self._machine.their_state is h11.DONE:
            self._machine.start_next_cycle()
        return answer

    async def _write(self, item: Item, close: bool) -> None:
        send, request = self._machine.send, item.request
        headers = [("host", self._target.authority), ("user-agent", AGENT)]
        if item.parts:
            kind = "application/octet-stream" if request.upload else "application/json"
            headers += [("content-type", kind), ("content-length", str(item.size))]
        if close:
            headers.append(("connection", "close"))
        data = send(h11.Request(method=request.method, target=request.path, headers=headers)) or b""
        for part in item.parts:
            self._writer.write(data + (send(h11.Data(data=part)) or b""))
            data = b""
            await self._writer.drain()
            if item.pause:
                await asyncio.sleep(item.pause)
        data += send(h11.EndOfMessage()) or b""
        if data:
            self._writer.write(data)
            await self._writer.drain()

    async def _read(self) -> Answer:
        status, body = 0, b""
        while True:
            event = self._machine.next_event()
            if event is h11.NEED_DATA:
                data = await self._reader.read(READ)
                if not data and not status:
                    raise Lost("closed without an answer")
                self._machine.receive_data(data)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, body)

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


class KeepAlive:
    """A client that keeps its connection, and opens a new one only when it knows that the old one was closed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: Connection | None = None

    async def send(self, item: Item) -> Answer:
        """Sends a request. Raises Lost, OSError, TimeoutError; the connection is given up then."""
        if not self._connection or not self._connection.usable:
            await self.close()
            self._connection = Connection(self._target, *await self._target.connect("http/1.1"))
        try:
            return await self._connection.send(item, close=False)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None


class Closing:
    """A client that takes a new connection for each request."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def send(self, item: Item) -> Answer:
        """Sends a request. Raises Lost, OSError, TimeoutError."""
        connection = Connection(self._target, *await self._target.connect("http/1.1"))
        try:
            return await connection.send(item, close=True)
        finally:
            connection.close()

    async def close(self) -> None:
        """Nothing is kept."""
