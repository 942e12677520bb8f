"""A TLS connection to the gateway's name at a fixed address, and what both HTTP versions share."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache

AGENT = "changeover-load"
LIMIT = 10.0  # seconds for connect and handshake
READ = 65536


class Lost(Exception):
    """The request was sent, at least in part, and no whole answer came. It is never sent again."""


@dataclass(frozen=True)
class Answer:
    """Status and whole body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Target:
    """The gateway: its name (SNI and Host), the port, the address to connect to, the CA's file."""

    host: str
    port: int
    address: str
    ca: str

    @property
    def authority(self) -> str:
        """Host and port as a request names them."""
        return f"{self.host}:{self.port}"

    async def connect(self, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that speaks `protocol` (http/1.1 or h2). Raises OSError, TimeoutError, Lost."""
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_connection(
                self.address, self.port, ssl=context(self.ca, protocol), server_hostname=self.host
            )
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen != protocol:
            writer.close()
            raise Lost(f"the gateway chose {chosen}, not {protocol}")
        return reader, writer


@cache
def context(ca: str, protocol: str) -> ssl.SSLContext:
    """A context that trusts this CA only."""
    made = ssl.create_default_context(cafile=ca)
    made.set_alpn_protocols([protocol])
    return made
