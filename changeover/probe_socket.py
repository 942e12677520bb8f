"""The prober's WebSocket: stays open, comes back politely, and writes down each opening and each close."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from changeover.probe import OPENED, RESTART, SOCKET, Config, Sample

AGAIN = (0.5, 10.0)  # seconds before the first and before later tries to open the socket again
PORTS = {"http": 80, "https": 443}
Write = Callable[[Sample], None]


def now() -> str:
    """The time of a sample: UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def ended(stop: asyncio.Event, seconds: float) -> bool:
    """Waits so long, or until the end; whether it is the end."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
    return stop.is_set()


def _address(config: Config, context: ssl.SSLContext) -> dict[str, Any]:
    """How the socket is reached, as websockets' connect() takes it."""
    parts = urlsplit(config.base_url)
    secure = parts.scheme == "https"
    tls: dict[str, Any] = {"ssl": context, "server_hostname": parts.hostname} if secure else {}
    return {
        "uri": f"{'wss' if secure else 'ws'}://{parts.netloc}{config.websocket or '/'}",
        "host": str(config.address or parts.hostname),
        "port": parts.port or PORTS[parts.scheme],
        "proxy": None,
        "additional_headers": next(iter(config.clients.values()), {}),
        "open_timeout": config.timeout,
        "close_timeout": config.timeout,
        **tls,
    }


async def keep_socket(config: Config, write: Write, stop: asyncio.Event) -> None:
    """Keeps one WebSocket open; after a close it comes back, later and later."""
    context = ssl.create_default_context(cafile=config.ca)
    first, most = AGAIN
    wait = first
    while not stop.is_set():
        wait = first if await _one_socket(config, context, write, stop) else min(wait * 2, most)
        await ended(stop, wait * (0.5 + random.random()))


async def _one_socket(config: Config, context: ssl.SSLContext, write: Write, stop: asyncio.Event) -> bool:
    """Opens the socket and reads until it is closed, or closes it at the end; whether it was opened."""
    path = config.websocket or "/"
    began, clock = now(), time.perf_counter()

    def sample(status: int | None, error: str | None = None) -> None:
        write(Sample(began, SOCKET, "GET", path, round((time.perf_counter() - clock) * 1000, 1), status, error))

    try:
        socket = await connect(**_address(config, context))
    except (WebSocketException, OSError, TimeoutError) as error:
        sample(None, f"{type(error).__name__}: {error}")
        return False
    sample(101)
    closing = asyncio.create_task(_close_at_end(socket.close, stop))
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        code = socket.close_code or 1006
    finally:
        closing.cancel()
    if not stop.is_set():
        began, clock = now(), time.perf_counter()
        sample(code, None if code == RESTART else f"closed with {code} instead of {RESTART}")
    return True


async def open_sockets(config: Config, write: Write, stop: asyncio.Event) -> None:
    """Opens a new socket again and again, as users do: the one that is kept says nothing of the release after it."""
    context = ssl.create_default_context(cafile=config.ca)
    while not await ended(stop, config.open_every):
        began, clock, error = now(), time.perf_counter(), None
        try:
            async with asyncio.timeout(config.timeout), connect(**_address(config, context)) as socket:
                await (await socket.ping())  # the application's side answers it: it is not only accepted
        except TimeoutError:
            error = f"no answer within {config.timeout:g} s"
        except (WebSocketException, OSError) as reason:
            error = f"{type(reason).__name__}: {reason}"
        ms = round((time.perf_counter() - clock) * 1000, 1)
        path = config.websocket or "/"
        write(Sample(began, OPENED, "GET", path, ms, None if error else 101, error))


async def _close_at_end(close: Callable[[], Any], stop: asyncio.Event) -> None:
    await stop.wait()
    await close()
