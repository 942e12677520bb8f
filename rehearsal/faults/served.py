"""Which release the gateway serves, asked again and again: since when only one, and for how long none."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .. import state

EVERY = 0.25  # seconds
LIMIT = 3.0  # seconds for one answer


@dataclass(frozen=True)
class Sample:
    """An answer: when it was asked for (Unix time, s), and the release; "" when there was none."""

    t: float
    release: str


class Watch:
    """Asks in a thread of its own while the block runs."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self._gateway = state.read()["gateway"]
        self._context = ssl.create_default_context(cafile=self._gateway["ca"])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join(LIMIT * 2)

    def _run(self) -> None:
        while not self._over.is_set():
            began = time.time()
            self.samples.append(Sample(began, served(self._gateway, self._context)))
            self._over.wait(max(0.0, began + EVERY - time.time()))


def served(gateway: dict[str, Any], context: ssl.SSLContext) -> str:
    """The release that answers now; "" for none."""
    name = gateway["url"].removeprefix("https://").partition(":")[0]
    try:
        with socket.create_connection((gateway["address"], gateway["https_port"]), LIMIT) as plain:
            plain.settimeout(LIMIT)
            link = http.client.HTTPConnection(name, timeout=LIMIT)
            link.sock = context.wrap_socket(plain, server_hostname=name)
            link.request("GET", "/api/health", headers={"Connection": "close"})
            return str(json.loads(link.getresponse().read()).get("release", ""))
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return ""


def back_after(samples: Iterable[Sample], since: float, before: str, wanted: str) -> float:
    """Seconds until only the release before served: from the fault, or from when the new one served first if later.

    0 when nothing else was ever seen after the fault. Pure.
    """
    later = [sample for sample in samples if sample.t >= since]
    news = [sample.t for sample in later if sample.release == wanted]
    if not news:
        return 0.0
    return round(max(news) - max(since, min(news)) + EVERY, 1)


def silent(samples: Iterable[Sample]) -> float:
    """Seconds without an answer, in all. Pure."""
    return round(sum(EVERY for sample in samples if not sample.release), 1)
