"""Weighted steps: who meets a release before everybody does, for how long, and what becomes of it when it fails."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from changeover.settings_common import Strict
from changeover.words import Duration, Name, Text, seconds

ALL = 100
LONGEST = 5 * 86400  # seconds of all steps together: the deploy watches all the time, and a prober ends after a week


class Who(Strict):
    """Who a step brings the release to: a share of all clients, and those who are chosen by name."""

    percent: int = Field(0, ge=0, le=ALL, description="share of the clients; each step's holds the one before")
    teams: list[Name] = Field([], description="who has this name's signed cookie or header: docs/adopt.md")
    users: list[Name] = Field([], description="the same, for one person")

    @property
    def names(self) -> list[str]:
        """All that are chosen."""
        return [*self.teams, *self.users]


class Step(Strict):
    """A part of the clients gets the release, and is watched, before the next step; 25 is short for who=percent 25."""

    name: Text | None = Field(None, description="stands in output and report; default: its percentage, or the chosen")
    who: Who = Field(description="who gets it, beside those who have it already")
    hold: Duration = Field("5m", description="time under watch before the next step")
    gates: list[Name] | None = Field(
        None, description="names of the gates that judge it; default: all that can decide within hold"
    )
    on_fail: Literal["zero", "previous", "pause"] = Field(
        "zero",
        description="all go back; or those who came with this step, and the ones before stay on it without a watch; "
        "or all stay where they are, without a watch",
    )

    @property
    def label(self) -> str:
        """What a person reads."""
        return self.name or (f"{self.who.percent} %" if self.who.percent else "the chosen")

    @model_validator(mode="after")
    def _somebody(self) -> Step:
        if not self.who.percent and not self.who.names:
            raise ValueError("brings it to nobody; give who a percent, teams or users")
        given = {"hold", "on_fail", "gates"} & self.model_fields_set
        if self.who.percent == ALL and (given or self.who.names):
            what = " and ".join(sorted(given)) or "teams and users"
            raise ValueError(f"100 is the switch: release.soak is its time, and all go back; leave {what} out")
        return self


def _short(value: Any) -> Any:
    """25 and "25" are the same as {"who": {"percent": 25}}."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"who": {"percent": value}}
    if isinstance(value, str) and value.isdigit():
        return {"who": {"percent": int(value)}}
    if not isinstance(value, dict | Step):
        raise ValueError(f"{value!r} is no step; write a percentage such as 25, or a dict with who")
    return value


def _rising(steps: list[Step]) -> list[Step]:
    """The steps, to the end at 100."""
    names: set[str] = set()
    for before, step in zip([None, *steps], steps, strict=False):
        if before and step.who.percent <= before.who.percent:
            raise ValueError(f"{step.who.percent} comes after {before.who.percent}; each step is more than the last")
        if twice := names & set(step.who.names) or {n for n in step.who.names if step.who.names.count(n) > 1}:
            raise ValueError(f"{', '.join(sorted(twice))} is chosen twice; who has a release keeps it")
        names |= set(step.who.names)
    if (whole := sum(seconds(step.hold) for step in steps if step.who.percent < ALL)) > LONGEST:
        days = f"{whole / 86400:.1f} days"
        raise ValueError(f"the holds are {days} together; a deploy watches all the time, give 5 days or less")
    if steps and steps[-1].who.percent < ALL:
        steps = [*steps, Step(who=Who(percent=ALL))]
    return steps


Steps = Annotated[list[Annotated[Step, BeforeValidator(_short)]], AfterValidator(_rising)]
