"""A checklist as data: what must be so before a release, and what after it; a check, a program, or a person's word."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from changeover.settings_common import Strict
from changeover.settings_tests import Program
from changeover.words import SPAN, Text

BEFORE = ("certificates", "images", "rehearsed", "tagged")
AFTER = ("healthy", "logs", "memory", "probe", "websocket")
Check = Literal[
    "certificates", "images", "rehearsed", "tagged", "healthy", "logs", "memory", "probe", "websocket"
]
KINDS = ("check", "program", "ask", "within")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin") from error
    return name


class Item(Strict):
    """One item. Of `check`, `program`, `ask` and `within` it has exactly one."""

    name: Text = Field(description="what is so, in a person's words: it stands in output and report")
    source: Text = Field("the team's own", description="the document that asks for it")
    when: Literal["before", "after"] = Field(
        "before",
        description="before anything is touched: an item that fails refuses the release; or after the confirmation: "
        "it undoes nothing, and the run ends with exit code 1",
    )
    environment: Literal["staging", "production"] | None = Field(None, description="only there; none: everywhere")
    check: Check | None = Field(
        None,
        description="before: `certificates` last 14 days more, `images` are in the registry, `rehearsed` (the release "
        "went live on staging; its report is here), `tagged` in git as release.tag_name says. After: `healthy` "
        "containers at the release, 50 `logs` lines each without an error, `memory` below 90 % of the limits, the "
        "`probe` within release.max_failed, its `websocket` kept",
    )
    program: Program | None = Field(None, description="a program of the team's own; exit code 0 is yes")
    ask: Text | None = Field(
        None, description="a question to a person, at the terminal or in a file: `--data answers=FILE`"
    )
    within: list[Annotated[str, Field(pattern=SPAN)]] = Field(
        [], description='times at which a release may begin, such as "mon-thu 09:00-16:00"'
    )
    zone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="time zone of `within`")

    @model_validator(mode="after")
    def _one_kind(self) -> Item:
        kinds = [kind for kind in KINDS if getattr(self, kind)]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; it has {' and '.join(kinds) or 'none'}")
        if self.check and (self.check in AFTER) != (self.when == "after"):
            raise ValueError(f"check {self.check!r} is for {'after' if self.check in AFTER else 'before'} the release")
        if self.within and self.when == "after":
            raise ValueError("within is for before the release")
        if "zone" in self.model_fields_set and not self.within:
            raise ValueError("zone is the time zone of within, and there is none")
        return self


def _named(items: list[Item]) -> list[Item]:
    twice = [name for name, number in Counter(one.name for one in items).items() if number > 1]
    if twice:
        raise ValueError(f"two are named {twice[0]!r}; a name must tell which one failed")
    return items


Checklist = Annotated[list[Item], AfterValidator(_named)]
