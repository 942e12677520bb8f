"""Sends smoke tests through the gateway: a process of its own, because pyinfra patches the sockets of its own.

Reads a Config of changeover/smoke.py from standard input and prints a Result for each call, a line each; the first that
is wrong is the last. No call is sent twice. By hand: python -m changeover.smoke_client < CONFIG.json
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from changeover.smoke import Call, Config, Event, Result, is_wanted, wrong

MOST = 1 << 20  # bytes of an answer that are kept; a text is looked for in all of it
SETTLE = 0.2  # seconds after a WebSocket was opened: a server may take it up just after it has said yes
PORTS = {"http": 80, "https": 443}


async def run(config: Config) -> None:
    """Sends one call after the other and prints what came of each, until one is wrong."""
    context = ssl.create_default_context(cafile=config.ca)
    for one in config.calls:
        found = await _result(config, context, one)
        print(found.model_dump_json(), flush=True)
        if found.wrong:
            return


async def _result(config: Config, context: ssl.SSLContext, call: Call) -> Result:
    try:
        if call.event is None:
            problem, seen = await _send(config, context, call)
        else:
            async with _socket(config, context, call.event, call.timeout) as socket:
                began = time.perf_counter()
                problem, seen = await _send(config, context, call)
                if problem is None:
                    problem = await _message(socket, call.event)
                    seen += f", its event after {_ms(began)}"
    except _Failed as error:
        problem, seen = str(error), ""
    return Result(name=call.name, seen=seen, wrong=problem)


class _Failed(Exception):
    """What was wrong before there was an answer to judge."""


async def _send(config: Config, context: ssl.SSLContext, call: Call) -> tuple[str | None, str]:
    """Sends a call once; what is wrong with the answer, and what was seen."""
    parts = urlsplit(config.base_url)
    began, here = time.perf_counter(), f"{call.method} {call.path}"
    url = httpx.URL(config.base_url + call.path).copy_with(host=str(config.address or parts.hostname))
    headers = {"user-agent": "changeover-smoke", **call.headers, "host": parts.netloc}
    client = httpx.AsyncClient(verify=context, trust_env=False, timeout=call.timeout)
    try:
        async with asyncio.timeout(call.timeout), client:
            sent: dict[str, Any] = dict(headers=headers, json=call.body, extensions={"sni_hostname": parts.hostname})
            async with client.stream(call.method, url, **sent) as answer:
                body, has_text = await _read(answer, (call.text or "").encode())
    except (TimeoutError, httpx.TimeoutException):
        raise _Failed(f"{here}: wanted: {call.expect}; came: no whole answer within {call.timeout:g} s") from None
    except (httpx.HTTPError, OSError) as error:
        raise _Failed(f"{here}: wanted: {call.expect}; came: {type(error).__name__}: {error}") from None
    return wrong(call, answer.status_code, body, has_text), f"{answer.status_code} in {_ms(began)}"


async def _read(answer: httpx.Response, text: bytes) -> tuple[str, bool]:
    """The beginning of a body, and whether the text is anywhere in it."""
    kept, tail, found = bytearray(), b"", False
    async for chunk in answer.aiter_bytes():
        found = found or text in tail + chunk
        tail = (tail + chunk)[-len(text) :] if text else b""
        kept += chunk[: MOST - len(kept)]
    return kept.decode(errors="replace"), found


@contextlib.asynccontextmanager
async def _socket(
    config: Config, context: ssl.SSLContext, event: Event, timeout: float
) -> AsyncIterator[ClientConnection]:
    """The WebSocket on which the event must come, open."""
    parts = urlsplit(config.base_url)
    secure = parts.scheme == "https"
    tls: dict[str, Any] = {"ssl": context, "server_hostname": parts.hostname} if secure else {}
    try:
        socket = await connect(
            f"{'wss' if secure else 'ws'}://{parts.netloc}{event.path}",
            host=str(config.address or parts.hostname),
            port=parts.port or PORTS[parts.scheme],
            proxy=None,
            open_timeout=timeout,
            close_timeout=1,
            **tls,
        )
    except (WebSocketException, OSError, TimeoutError) as error:
        reason = str(error) or f"not within {timeout:g} s"
        raise _Failed(f"WebSocket {event.path}: wanted: it opens; came: {type(error).__name__}: {reason}") from None
    async with socket:
        await asyncio.sleep(SETTLE)
        yield socket


async def _message(socket: ClientConnection, event: Event) -> str | None:
    """Waits for the event; what is wrong when it does not come."""
    others = 0
    try:
        async with asyncio.timeout(event.within):
            async for message in socket:
                if is_wanted(event, message if isinstance(message, str) else message.decode(errors="replace")):
                    return None
                others += 1
    except TimeoutError:
        return (
            f"WebSocket {event.path}: wanted: {event.holds!r} within {event.within:g} s; came: {others} other messages"
        )
    except WebSocketException as error:
        return f"WebSocket {event.path}: wanted: {event.holds!r}; came: {error}"
    return f"WebSocket {event.path}: wanted: {event.holds!r}; came: the server closed it"


def _ms(began: float) -> str:
    return f"{(time.perf_counter() - began) * 1000:.0f} ms"


if __name__ == "__main__":
    try:
        asyncio.run(run(Config.model_validate_json(sys.stdin.read())))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
