"""How a release goes live: the schema, the switch, and what watches it."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import Field, model_validator

from changeover.settings_common import Strict
from changeover.settings_steps import Steps
from changeover.settings_tests import Commands, SmokeTests
from changeover.words import Duration, HttpPath, Variable, seconds

SHORTEST_LEASE = 10  # seconds: it is renewed every third of it, and to ask for that takes a moment
LONGEST_SOAK = 86400  # seconds


class Migrations(Strict):
    """How the schema goes from one release to the next."""

    engine: Literal["alembic"] = Field(description="the tool that knows the versions")
    service: str = Field(description="service in whose image and with whose secrets the engine runs")
    database: str = Field(description="the postgres service it changes")
    timeout: Duration = Field("10m", description="longest time for one upgrade")


class Probe(Strict):
    """A request that the deploy sends through the gateway, again and again, while it switches and soaks."""

    path: HttpPath = Field(description="path on the gateway")
    method: Literal["GET", "POST"] = Field("GET", description="a POST's body holds {id}, new each time")
    json_: dict[str, Any] = Field({}, alias="json", description="body of a POST")
    expect: int = Field(200, ge=100, le=599, description="the right status code")

    @model_validator(mode="after")
    def _a_body_for_a_post(self) -> Probe:
        if self.method == "GET" and self.json_:
            raise ValueError("json is the body of a POST, and this is a GET")
        if self.method == "POST" and "{id}" not in json.dumps(self.json_):
            raise ValueError("a POST needs {id} in its json; without it all are the same, and a lost one shows nowhere")
        return self


class Releasing(Strict):
    """How a release goes live, and how long the way back stays warm."""

    strategy: Literal["blue_green", "rolling", "recreate"] = Field(
        "blue_green",
        description="all hosts at once, beside the old release; host by host; or the old release is stopped first, "
        "behind the maintenance page",
    )
    lease: Duration = Field("90s", description="not confirmed in this time, a switch goes back by itself")
    soak: Duration = Field("30s", description="time under watch after the switch, before it is confirmed")
    pause: Duration = Field("10s", description="rolling: time under watch after each host, before the next one's turn")
    steps: Steps = Field(
        [],
        description="blue_green: shares of the clients that get the release first, such as [5, 25, 50]; each sticks to "
        "its slot",
    )
    early_secret: Variable | None = Field(
        None, description="secret that signs the cookies of the users and teams who are chosen in steps"
    )
    keep_warm: Duration = Field("30m", description="time that the old slot runs on after the confirmation")
    keep: int = Field(5, ge=2, le=20, description="releases that were live and whose images stay on the hosts")
    tag: Literal["never", "production", "always"] = Field(
        "production",
        description="where a confirmed release is tagged in git, on the control machine; never pushed by itself",
    )
    tag_name: str = Field(
        "{system}-v{release}", description="name of that tag; {system} {release} {environment} are filled in"
    )
    probe: list[Probe] = Field([], description="requests of the deploy's own prober; default: each route's health path")
    websocket: HttpPath | None = Field(None, description="path of a WebSocket that the prober keeps open")
    smoke: SmokeTests = Field([], description="calls after the switch, in order; one that fails sends the release back")
    commands: Commands = Field([], description="the team's own, such as the upload of static files to a bucket or CDN")
    max_failed: int = Field(0, ge=0, description="failed probes, from before the switch on, that still pass")

    @model_validator(mode="after")
    def _times_that_work(self) -> Releasing:
        if seconds(self.lease) < SHORTEST_LEASE:
            raise ValueError(f"lease {self.lease} is too short to be renewed in time; give {SHORTEST_LEASE}s or more")
        if seconds(self.soak) > LONGEST_SOAK:
            raise ValueError(f"soak {self.soak} is too long; a deploy watches all the time, give 24h or less")
        if seconds(self.pause) > LONGEST_SOAK:
            raise ValueError(f"pause {self.pause} is too long; a deploy watches all the time, give 24h or less")
        if self.steps and self.strategy != "blue_green":
            raise ValueError(f"steps need both releases beside each other; the strategy is {self.strategy}")
        if not self.early_secret and (names := [name for step in self.steps for name in step.who.names]):
            raise ValueError(f"early_secret is missing: it signs what {', '.join(names)} show the gateway")
        if "pause" in self.model_fields_set and self.strategy != "rolling":
            raise ValueError(f"pause is between the hosts of a rolling release; the strategy is {self.strategy}")
        return self
