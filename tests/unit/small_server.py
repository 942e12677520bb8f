"""A server for tests: HTTP and a WebSocket on one port, as an app has them; it says what it is told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Got:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: str


@dataclass
class Small:
    """The server's port; requests; what it answers (status, body), and what it then sends to its WebSockets."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Got], tuple[int, str]] = lambda got: (200, "{}")
    event: Callable[[Got], str | None] = lambda got: None
    sockets: list[socket.socket] = field(default_factory=list)


@contextlib.contextmanager
def serving() -> Iterator[Small]:
    """The server, as long as the block runs."""
    small = Small()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode().strip()
            headers: dict[str, str] = {}
            while text := self.rfile.readline().decode().strip():
                key, _, value = text.partition(":")
                headers[key.lower()] = value.strip()
            got = Got(line, headers, self.rfile.read(int(headers.get("content-length", 0))).decode())
            if "sec-websocket-key" in headers:
                digest = hashlib.sha1(headers["sec-websocket-key"].encode() + GUID).digest()
                upgrade = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                self.wfile.write(f"{upgrade}{base64.b64encode(digest).decode()}\r\n\r\n".encode())
                small.sockets.append(self.request)
                self.rfile.read(1)  # until the client closes
                return
            small.got.append(got)
            status, body = small.answer(got)
            raw = body.encode()
            head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(raw)}\r\nConnection: close\r\n\r\n"
            self.wfile.write(head.encode() + raw)
            if message := small.event(got):
                text = message.encode()
                for one in small.sockets:
                    one.sendall(bytes([0x81, len(text)]) + text)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        small.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield small
        server.shutdown()
