"""What the prober's process does: requests at a steady rate, one WebSocket, one line of JSON for each.

HTTP/2 and GOAWAY (a reload of the gateway, never a switch): httpcore gives up requests that the gateway still answers,
and sends anew those that it did not take. Both count as failed here; its users would see the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from changeover.probe import Config, Request, Sample, read, summary
from changeover.probe_socket import Write, ended, keep_socket, now, open_sockets

SENDING = ("http11.send_request_headers.started", "http2.send_request_headers.started")


def run(config: Config, out: Path, with_parent: bool) -> dict[str, Any]:
    """Probes until the time is over or SIGTERM comes (or standard input ends, with_parent); returns the summary.

    The summary is the file's last line too. Raises OSError when the file or the CA cannot be used.
    """
    if config.ca:
        Path(config.ca).stat()  # ssl's own error does not name the file
    with out.open("w", buffering=1) as file:  # line by line: a killed prober leaves whole lines

        def write(sample: Sample) -> None:
            file.write(sample.line() + "\n")

        asyncio.run(_probe(config, write, with_parent))
        found = summary(read(out))  # from the file: a step may be held for days, and the prober must not grow
        file.write(json.dumps({"summary": found}) + "\n")
    return found


def first_line() -> str:
    """The first line of standard input. Unbuffered: a buffer would swallow the end that _probe waits for."""
    return open(0, "rb", buffering=0, closefd=False).readline().decode()


async def _probe(config: Config, write: Write, with_parent: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(config.seconds, stop.set)
    if with_parent:
        loop.add_reader(0, stop.set)  # nothing more is ever sent: it is the end of whoever started this
    wanted = (keep_socket, open_sockets) if config.websocket else ()
    sockets = [asyncio.create_task(one(config, write, stop)) for one in wanted]
    clients = Clients(config)
    async with asyncio.TaskGroup() as tasks:
        # Clients in turn: in any short time both have asked as often.
        for kind, request, client in itertools.cycle(
            itertools.product(clients.kinds, config.requests, config.clients or [None])
        ):
            tasks.create_task(_one(config, clients, kind, request, write, client))
            # Not waiting for answers: a gateway that hangs is asked on, each request within its time limit.
            if await ended(stop, 1 / config.rate):
                break
    await clients.close()
    await asyncio.gather(*sockets)


class Clients:
    """A client per kind. None retries (httpcore's retries=0), reads proxy variables, or follows redirects."""

    def __init__(self, config: Config) -> None:
        self._config = config
        versions = ("h1", "h2") if config.base_url.startswith("https") else ("h1",)
        # A context per version: httpcore sets ALPN in it.
        self._contexts = {one: ssl.create_default_context(cafile=config.ca) for one in versions}
        self._kept = {one: self._new(one) for one in versions}
        self.kinds = [kind for one in versions for kind in (one, f"{one} close")]

    def _new(self, version: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            http2=version == "h2",
            verify=self._contexts[version],
            trust_env=False,
            timeout=self._config.timeout,
            headers={"user-agent": "changeover-probe"},
        )

    @contextlib.asynccontextmanager
    async def use(self, kind: str) -> AsyncIterator[httpx.AsyncClient]:
        """The client of a kind: kept, or a new one for this request (one pool would share HTTP/2 connections)."""
        if kind in self._kept:
            yield self._kept[kind]
            return
        async with self._new(kind.split()[0]) as client:
            yield client

    async def close(self) -> None:
        """Ends the kept ones."""
        for client in self._kept.values():
            await client.aclose()


async def _one(
    config: Config, clients: Clients, kind: str, request: Request, write: Write, name: str | None = None
) -> None:
    async with clients.use(kind) as client:
        await _send(config, kind, client, request, write, name)


async def _send(
    config: Config, kind: str, client: httpx.AsyncClient, request: Request, write: Write, name: str | None = None
) -> None:
    """Sends a request once, as one of the clients, and writes down what came of it."""
    began, clock, sent = now(), time.perf_counter(), 0
    parts = urlsplit(config.base_url)
    headers = {**request.headers, **(config.clients[name] if name else {}), "host": parts.netloc}
    if kind == "h1 close":
        headers["connection"] = "close"

    async def count(event: str, _: dict[str, Any]) -> None:
        nonlocal sent
        sent += event in SENDING

    status: int | None = None
    slot = release = None
    try:
        async with asyncio.timeout(config.timeout):
            answer = await client.request(
                request.method,
                httpx.URL(config.base_url + request.path).copy_with(host=str(config.address or parts.hostname)),
                headers=headers,
                json=fill(request.body, f"probe-{secrets.token_hex(8)}"),
                extensions={"sni_hostname": parts.hostname, "trace": count},
            )
        status = answer.status_code
        error = None if status == request.expect else f"status {status} instead of {request.expect}"
        slot, release = tell(answer, config.slot_key), tell(answer, config.release_key)
    except TimeoutError:
        error = f"no answer within {config.timeout:g} s"
    except Exception as reason:  # whatever one request meets, the next one is sent
        error = f"{type(reason).__name__}: {reason}"
    if sent > 1:
        # httpcore does so when GOAWAY says that a request was not taken; another client would have lost it.
        error = f"lost, and sent {sent} times by the client's library"
    ms = round((time.perf_counter() - clock) * 1000, 1)
    write(Sample(began, kind, request.method, request.path, ms, status, error, slot, release, name))


def fill(template: Any, new_id: str) -> Any:
    """The template with each {id} in its texts filled in. Pure."""
    if isinstance(template, str):
        return template.replace("{id}", new_id)
    if isinstance(template, dict):
        return {key: fill(value, new_id) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, new_id) for value in template]
    return template


def tell(answer: httpx.Response, key: str) -> str | None:
    """What a header, or else a field of a JSON answer, tells; None when neither does. Pure."""
    if key in answer.headers:
        return str(answer.headers[key])
    if "json" not in answer.headers.get("content-type", ""):
        return None
    with contextlib.suppress(ValueError):
        body = answer.json()
        return str(body[key]) if isinstance(body, dict) and key in body else None
    return None
