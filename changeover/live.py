"""What is live, as the hosts say it: /var/lib/changeover/<system>/state.json, written by the host command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = 1
Slot = Literal["blue", "green"]
BLUE: Slot = "blue"
GREEN: Slot = "green"


def other(slot: Slot) -> Slot:
    """The other of the two slots."""
    return GREEN if slot == BLUE else BLUE


class _Part(BaseModel):
    # A newer host command may write more than this control side knows; what it knows must be right.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Releases(_Part):
    """The release that is live, the one before, and one that is staged in the idle slots."""

    live: str | None = None
    previous: str | None = None
    candidate: str | None = None


class SlotState(_Part):
    """A service's live slot (None: none yet), and the release in each slot (None: empty)."""

    live: Slot | None = None
    blue: str | None = None
    green: str | None = None

    def release(self, slot: Slot | None) -> str | None:
        """The release in a slot."""
        return self.blue if slot == BLUE else self.green if slot == GREEN else None


class Lease(_Part):
    """A switch that goes back by itself: the run that may confirm it, and the seconds it had."""

    txn: str
    seconds: float


class Weight(_Part):
    """A weighted step: the share of the clients that are on the candidate."""

    percent: int


class Live(_Part):
    """The state of one system. `generation` rises when traffic moves, `seq` with each change."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    generation: int = 0
    seq: int = 0
    release: Releases = Releases()
    slots: dict[str, SlotState] = {}
    held: dict[str, str] = {}
    maintenance: dict[str, Any] | None = None
    opened: dict[str, Any] | None = None
    rolled: list[str] = []
    weight: Weight | None = None
    lease: Lease | None = None
    images: dict[str, dict[str, str]] = {}
    """{release: {service: image}}: which bytes its tags meant when it was staged; hostcmd/kept.py."""
    drifted: Annotated[bool, Field(exclude=True)] = False
    """Not in the file: what runs in a live slot has other settings than the data; mended by a switch, not in place."""
    strayed: Annotated[bool, Field(exclude=True)] = False
    """Not in the file: a step is paused, and the candidate that serves a share has other settings than the data."""

    def pinned(self, release: str, service: str, image: str) -> str:
        """An image of a release with the digest that was written down for it; as it is where none was."""
        found = self.images.get(release, {}).get(service, "")
        return found if found.partition("@")[0] == image else image


@dataclass(frozen=True)
class Place:
    """A slot of a service and its release. Roles: `live`; `candidate`, to be switched to; `previous`, the way back."""

    slot: Slot
    release: str
    role: Literal["live", "candidate", "previous"]


def places(live: Live, service: str, wanted: str) -> list[Place]:
    """The slots of a service that hold a release, when `wanted` is to run. A live slot never gets another one."""
    state = live.slots.get(service, SlotState())
    running = state.release(state.live)
    if state.live is None or running is None:
        return [Place(BLUE, wanted, "candidate")]
    idle = other(state.live)
    found = [Place(state.live, running, "live")]
    if wanted != running or live.drifted:
        found.append(Place(idle, wanted, "candidate"))
    elif before := state.release(idle):
        found.append(Place(idle, before, "previous"))
    return found


def parse(text: str | None) -> Live:
    """The state in a file's text; no text is a system that was never installed.

    Raises ValueError for a file that is damaged or of another schema.
    """
    if not text:
        return Live()
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ValueError(f"state.json is damaged ({error})") from error
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        known = f"this Changeover knows {SCHEMA}"
        raise ValueError(
            f"state.json is damaged (it names no schema; {known})"
            if schema is None
            else f"state.json has schema {schema}, {known}"
        )
    try:
        return Live.model_validate_json(text)
    except ValidationError as error:
        finding = error.errors()[0]
        where = ".".join(map(str, finding["loc"])) or "the whole"
        raise ValueError(f"state.json is damaged ({where}: {finding['msg'].removeprefix('Input ')})") from error
