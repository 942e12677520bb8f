"""What is live, as the hosts say it: the schema of /var/lib/changeover/<system>/state.json (CONTRACTS.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

SCHEMA = 1
BLUE: Literal["blue"] = "blue"
GREEN: Literal["green"] = "green"
STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class SlotState:
    """A service's live slot, and the release in each slot (None: empty)."""

    __pydantic_config__ = STRICT

    live: Literal["blue", "green"] = BLUE
    blue: str | None = None
    green: str | None = None

    def releases(self) -> dict[str, str]:
        """Slots that hold a release."""
        return {slot: release for slot in (BLUE, GREEN) if (release := getattr(self, slot))}


@dataclass(frozen=True)
class Live:
    """The state of one system. `generation` rises with each committed change."""

    __pydantic_config__ = STRICT

    schema: int = SCHEMA
    generation: int = 0
    release: str | None = None
    previous: str | None = None
    slots: dict[str, SlotState] = field(default_factory=dict)
    migrated: dict[str, str] = field(default_factory=dict)  # {"release": .., "version": ..} after an upgrade

    def to_json(self) -> str:
        """The file's text: stable, so that equal states are equal bytes."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


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
        return TypeAdapter(Live).validate_json(text)
    except ValidationError as error:
        finding = error.errors()[0]
        where = ".".join(map(str, finding["loc"])) or "the whole"
        raise ValueError(f"state.json is damaged ({where}: {finding['msg'].removeprefix('Input ')})") from error


def installed(live: Live, release: str, slotted: list[str], migrated: dict[str, str] | None) -> Live:
    """The state once `release` runs everywhere: live slots stay, empty ones are blue. Equal when nothing changed."""
    slots = {name: _with_release(live.slots.get(name, SlotState()), release) for name in slotted}
    previous = live.release if live.release not in (None, release) else live.previous
    new = replace(live, release=release, previous=previous, slots=slots, migrated=migrated or live.migrated)
    return new if new == live else replace(new, generation=live.generation + 1)


def _with_release(slot: SlotState, release: str) -> SlotState:
    return replace(slot, blue=release) if slot.live == BLUE else replace(slot, green=release)
