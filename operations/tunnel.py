"""A port on this machine that leads to one behind a host, through the SSH connection that pyinfra holds to it.

Nothing new listens on any host, and the host's private address needs no way from here. Each connection is a channel of
its own, so WebSockets and many requests at once pass. Source: RFC 4254, 7.2 (direct-tcpip).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from socket import SHUT_WR
from typing import Any

import gevent
from gevent.server import StreamServer
from paramiko import SSHException

OPEN = 15  # seconds until a channel must be open
PIECE = 65536  # bytes


class TunnelError(Exception):
    """There is no way through: which host, why, the remedy."""


@contextlib.contextmanager
def to(host: Any, address: str, port: int) -> Iterator[str]:
    """Gives `http://127.0.0.1:PORT` that leads to address:port as the host sees it, until the block ends.

    Arguments: pyinfra's host; where to. Of a host without SSH (this very machine) the address itself is given. Raises
    TunnelError when the host does not let it through, or nothing listens there.
    """
    client = getattr(host.connector, "client", None)
    if client is None:
        yield f"http://{address}:{port}"
        return
    transport = client.get_transport()

    def channel() -> Any:
        return transport.open_channel("direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=OPEN)

    try:
        channel().close()
    except (SSHException, OSError, EOFError, AttributeError) as error:
        raise TunnelError(
            f"{host.name}: its SSH does not lead to {address}:{port}: {error or type(error).__name__}; does the slot "
            "run, and does sshd there have AllowTcpForwarding yes (or local)?"
        ) from None

    def handle(sock: Any, _: Any) -> None:
        with sock:
            try:
                far = channel()
            except (SSHException, OSError, EOFError):
                return  # the client sees its connection closed, as from a server that went away
            try:
                gevent.joinall([gevent.spawn(_copy, sock, far), gevent.spawn(_copy, far, sock)])
            finally:
                far.close()

    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop(timeout=1)


def _copy(source: Any, target: Any) -> None:
    """Everything from one end to the other; then the other is told that this was all."""
    with contextlib.suppress(OSError, EOFError, SSHException):
        while piece := source.recv(PIECE):
            target.sendall(piece)
    with contextlib.suppress(OSError, EOFError, SSHException):
        target.shutdown(SHUT_WR)
