"""What is sent: the requests of a sample's load.json, dealt in their shares, each body with an id of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import RehearsalError

NEXT = "look at examples/tasktracker/load.json"


@dataclass(frozen=True)
class Upload:
    """A body of `bytes` bytes, sent in ten parts over `seconds` seconds."""

    bytes: int
    seconds: float


@dataclass(frozen=True)
class Request:
    """One kind of request. `slow`: left out of the latencies; `counted`: its rows are counted afterwards;
    `slot`: the field of its JSON answer that tells which slot answered."""

    name: str
    method: str
    path: str
    expect: int
    weight: int = 1
    json: Any = None
    upload: Upload | None = None
    slow: bool = False
    counted: bool = False
    slot: str = ""


@dataclass(frozen=True)
class Item:
    """One request to be sent: what, its id ("" where it has none), and its body in parts with pauses (s) between."""

    request: Request
    id: str = ""
    parts: tuple[bytes, ...] = ()
    pause: float = 0.0

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class Events:
    """The sockets' path, and the write whose event each of them must get, every so many seconds."""

    websocket: str
    every: float
    write: Request


@dataclass(frozen=True)
class Count:
    """Where and how the rows are counted; `{prefix}` in the SQL is the run's ids' beginning."""

    host: str
    command: str
    sql: str


@dataclass(frozen=True)
class Mix:
    """A load.json."""

    requests: tuple[Request, ...]
    events: Events | None = None
    count: Count | None = None


def read(path: Path) -> Mix:
    """Reads a load.json. Raises RehearsalError that names the file and the mistake."""
    try:
        raw = json.loads(path.read_text())
        events = raw.get("events")
        mix = Mix(
            requests=tuple(map(_request, raw["requests"])),
            events=Events(**{**events, "write": _request(events["write"])}) if events else None,
            count=Count(**raw["count"]) if "count" in raw else None,
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RehearsalError(f"{path} is no description of a load", f"{type(error).__name__}: {error}", NEXT) from error
    if not mix.requests or any(one.weight < 1 for one in mix.requests):
        raise RehearsalError(f"{path} is no description of a load", "each request has a weight of 1 or more", NEXT)
    return mix


def _request(raw: dict[str, Any]) -> Request:
    upload = raw.get("upload")
    return Request(**{**raw, "upload": Upload(**upload) if upload else None})


def item(request: Request, new_id: str) -> Item:
    """A request with its body. Pure."""
    if request.upload:
        part = request.upload.bytes // 10
        return Item(request, "", (b"x" * part,) * 10, request.upload.seconds / 10)
    if request.json is None:
        return Item(request)
    # The id is of letters, digits and hyphens: nothing to escape.
    return Item(request, new_id, (json.dumps(request.json).replace("{id}", new_id).encode(),))


@dataclass
class Deck:
    """Deals requests in their shares, exactly over each pass; ids begin with `prefix` and never repeat."""

    mix: Mix
    prefix: str
    seed: int = 0
    _dealt: int = 0
    _cards: Iterator[Request] = field(init=False)

    def __post_init__(self) -> None:
        self._cards = self._endless()

    def deal(self) -> Item:
        """The next request, with its id."""
        self._dealt += 1
        return item(next(self._cards), f"{self.prefix}{self._dealt}")

    def _endless(self) -> Iterator[Request]:
        cards = [one for one in self.mix.requests for _ in range(one.weight)]
        chance = random.Random(self.seed)
        while True:
            chance.shuffle(cards)
            yield from cards
