"""HTTP/2 over h2: several requests at a time on a connection, each sent once.

httpx is not used here on purpose: its httpcore sends a request anew by itself when GOAWAY says that it was not taken,
which would hide a loss. And h2 refuses every frame after a GOAWAY, also answers still on their way, which would
invent one: GOAWAY frames are taken out before h2 sees them.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass, field

from h2 import events, settings
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError

from .connect import AGENT, READ, Answer, Lost, Target
from .mix import Item

GOAWAY, HEAD = 7, 9  # the frame's type, bytes before a frame's payload (RFC 9113, sections 4.1 and 6.8)


@dataclass
class Stream:
    """A request on its way."""

    answer: asyncio.Future[Answer]
    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Connection:
    """One connection; a task of its own reads it."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target, self._reader, self._writer = target, reader, writer
        self._machine = H2Connection(H2Configuration(client_side=True))
        self._machine.local_settings[settings.SettingCodes.ENABLE_PUSH] = 0
        self._machine.initiate_connection()
        self._machine.increment_flow_control_window(2**24)
        self._streams: dict[int, Stream] = {}
        self._window = asyncio.Event()
        self._going = False
        self._rest = b""
        self._flush()
        self._task = asyncio.create_task(self._read())

    @property
    def usable(self) -> bool:
        """Whether a new request may go out: neither GOAWAY nor the end was seen here."""
        return not self._going and not self._writer.is_closing()

    async def send(self, item: Item) -> Answer:
        """Sends a request and waits for its answer. Raises Lost, OSError."""
        request, body = item.request, bool(item.parts)
        headers = [
            (":method", request.method),
            (":scheme", "https"),
            (":authority", self._target.authority),
            (":path", request.path),
            ("user-agent", AGENT),
        ]
        if body:
            kind = "application/octet-stream" if request.upload else "application/json"
            headers += [("content-type", kind), ("content-length", str(item.size))]
        number = self._machine.get_next_available_stream_id()
        stream = self._streams[number] = Stream(asyncio.get_running_loop().create_future())
        try:
            self._machine.send_headers(number, headers, end_stream=not body)
            for at, part in enumerate(item.parts, 1):
                await self._send_part(number, stream, part, last=at == len(item.parts))
                if item.pause and not stream.answer.done():
                    await asyncio.sleep(item.pause)
            self._flush()
            return await stream.answer
        except ProtocolError as error:
            raise Lost(f"{type(error).__name__}: {error}") from error
        finally:
            stream.answer.cancel()
            del self._streams[number]

    async def _send_part(self, number: int, stream: Stream, part: bytes, last: bool) -> None:
        while not stream.answer.done() and self._machine.local_flow_control_window(number) < len(part):
            self._window.clear()
            self._flush()
            await self._window.wait()
        if not stream.answer.done():
            self._machine.send_data(number, part, end_stream=last)
            self._flush()

    def _flush(self) -> None:
        if data := self._machine.data_to_send():
            self._writer.write(data)

    async def _read(self) -> None:
        why = "closed by the gateway"
        try:
            while data := await self._reader.read(READ):
                for event in self._machine.receive_data(self._without_goaway(data)):
                    self._take(event)
                self._flush()
        except (OSError, ProtocolError) as error:
            why = f"{type(error).__name__}: {error}"
        finally:
            self._going = True
            self._fail(why)
            self._writer.close()

    def _without_goaway(self, data: bytes) -> bytes:
        """Whole frames, GOAWAY taken out; what is cut off waits for its rest."""
        self._rest += data
        whole = b""
        while len(self._rest) >= HEAD:
            end = HEAD + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < end:
                break
            frame, self._rest = self._rest[:end], self._rest[end:]
            if frame[3] == GOAWAY:
                last, code = struct.unpack("!II", frame[HEAD : HEAD + 8])
                self._going = True
                self._fail(f"GOAWAY (code {code}): not taken", beyond=last & 0x7FFFFFFF)
            else:
                whole += frame
        return whole

    def _take(self, event: events.Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, events.WindowUpdated | events.RemoteSettingsChanged):
            self._window.set()
        elif isinstance(event, events.DataReceived):
            self._machine.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            if stream:
                stream.body += event.data or b""
        elif stream and isinstance(event, events.ResponseReceived):
            stream.status = int(dict(event.headers or [])[b":status"])
        elif stream and not stream.answer.done():
            if isinstance(event, events.StreamEnded):
                stream.answer.set_result(Answer(stream.status, bytes(stream.body)))
            elif isinstance(event, events.StreamReset):
                stream.answer.set_exception(Lost(f"stream reset (code {event.error_code})"))

    def _fail(self, why: str, beyond: int = 0) -> None:
        """Ends the waiting of streams whose number is greater than `beyond`."""
        self._window.set()
        for number, stream in self._streams.items():
            if number > beyond and not stream.answer.done():
                stream.answer.set_exception(Lost(why))

    async def close(self) -> None:
        """Ends the connection as a polite client does, with GOAWAY."""
        if not self._writer.is_closing():
            self._machine.close_connection()
            self._flush()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


class KeepAlive:
    """Clients that share a connection, as a browser's tabs do, and open a new one when it is going away."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def send(self, item: Item) -> Answer:
        """Sends a request. Raises Lost, OSError, TimeoutError."""
        async with self._opening:
            if not self._connection or not self._connection.usable:
                # The old one is left to finish what is on its way; its reader closes it.
                self._connection = Connection(self._target, *await self._target.connect("h2"))
        return await self._connection.send(item)

    async def close(self) -> None:
        """Ends the connection."""
        if self._connection:
            await self._connection.close()


class Closing:
    """A client that takes a new connection for each request."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def send(self, item: Item) -> Answer:
        """Sends a request. Raises Lost, OSError, TimeoutError."""
        connection = Connection(self._target, *await self._target.connect("h2"))
        try:
            return await connection.send(item)
        finally:
            await connection.close()

    async def close(self) -> None:
        """Nothing is kept."""
