"""A team's own tests and commands as steps of a release: before the switch on an idle slot, after it on the gateway."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from changeover.settings_common import Strict
from changeover.words import SMOKE_PATH, Duration, HttpPath, Text, Variable, seconds

OWN = ("BASE_URL", "OTHER_URL", "RELEASE", "PREVIOUS")
LONGEST = 300  # seconds that all smoke tests of a system may take together: the release serves, unwatched by the soak
WITHOUT_BODY = ("GET", "HEAD", "DELETE")


class Program(Strict):
    """A program of the team's own, run on the control machine."""

    run: list[Text] = Field(
        min_length=1, description="words; programs of the Python that runs pyinfra come first. Exit code 0 is passed"
    )
    folder: Text = Field(".", description="where they run, from the folder that pyinfra runs in")
    env: dict[Variable, str] = Field(
        {},
        description="further variables; RELEASE is set, PREVIOUS for a command, BASE_URL (the idle slot) and OTHER_URL "
        "(the live one) for tests",
    )
    secrets: list[Variable] = Field([], description="names of secrets, given as variables to this process alone")
    timeout: Duration = Field("5m", description="longest time for one run; then the process and its children are ended")

    @model_validator(mode="after")
    def _variables_once(self) -> Self:
        for name in [*self.env, *self.secrets]:
            if name in OWN:
                raise ValueError(f"{name} is set by the deploy; call yours something else")
        if both := sorted(set(self.env) & set(self.secrets)):
            raise ValueError(f"{both[0]} is under env and under secrets; give it once")
        return self


class Integration(Program):
    """A team's integration tests: run on the control machine against the idle slot of each host, before the switch."""


class Command(Program):
    """A team's own command as a step of a release, such as the upload of static files to a bucket (S4).

    RELEASE is the release that goes live, or after a way back the one that is live again; PREVIOUS is the other one.
    """

    name: Text = Field(description="what it does, in a person's words: it stands in output and report")
    when: Literal["before", "after"] = Field(
        description="before anything of the release starts: a failure stops it there; or after the confirmation, and "
        "after a way back that this run takes: a failure undoes nothing"
    )


class Event(Strict):
    """A message that a call must cause, on a WebSocket of the gateway that is opened before the call."""

    path: HttpPath = Field(description="path of the WebSocket")
    json_: dict[str, Any] = Field(
        {}, alias="json", description="what the message must hold, {id} filled in; default: the new id in its text"
    )
    within: Duration = Field("5s", description="longest wait, from the call's answer on")


class Smoke(Strict):
    """A call through the (first) gateway right after the switch. One {id} is made for all calls of a run."""

    name: Text = Field(description="what it shows, in a person's words: it stands in output and report")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = Field(
        "GET", description="sent once, never again"
    )
    path: Annotated[str, Field(pattern=SMOKE_PATH)] = Field(description="path on the gateway; may hold {id}")
    headers: dict[str, str] = Field({}, description="headers; {secret.NAME} and {id} are filled in")
    json_: dict[str, Any] = Field({}, alias="json", description="body; {secret.NAME} and {id} are filled in")
    expect: int = Field(200, ge=100, le=599, description="the right status code")
    answer: dict[str, Any] = Field({}, description="keys that must have these values in the JSON answer")
    text: Text | None = Field(None, description="text that the answer's body must hold; {id} is filled in")
    timeout: Duration = Field("10s", description="longest time for the whole answer")
    event: Event | None = Field(None, description="a message that must come of it")

    @model_validator(mode="after")
    def _makes_sense(self) -> Smoke:
        if self.json_ and self.method in WITHOUT_BODY:
            raise ValueError(f"json is the body of a call that writes, and this is a {self.method}")
        if self.method == "HEAD" and (self.answer or self.text):
            raise ValueError("the answer to a HEAD has no body; leave answer and text out")
        if self.event and not self.event.json_ and "{id}" not in json.dumps(self.json_):
            raise ValueError("event needs {id} in json to know its message by, or event.json")
        return self


def _together(tests: list[Smoke]) -> list[Smoke]:
    twice = [name for name, number in Counter(one.name for one in tests).items() if number > 1]
    if twice:
        raise ValueError(f"two are named {twice[0]!r}; a name must tell which one failed")
    longest = sum(seconds(one.timeout) + (seconds(one.event.within) if one.event else 0) for one in tests)
    if longest > LONGEST:
        raise ValueError(
            f"their limits add up to {longest:.0f} s; the release serves all the while, so {LONGEST} s is the most"
        )
    return tests


def _named(commands: list[Command]) -> list[Command]:
    twice = [name for name, number in Counter((one.when, one.name) for one in commands).items() if number > 1]
    if twice:
        raise ValueError(f"two are named {twice[0][1]!r}; a name must tell which one failed")
    return commands


Commands = Annotated[list[Command], AfterValidator(_named)]
SmokeTests = Annotated[list[Smoke], AfterValidator(_together)]
