"""Gates: a measured number against a limit. One shape for the soak, and for whatever else is judged by a number."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from changeover.settings_common import Strict
from changeover.words import TAKE, Duration, HttpPath, Name, Text, seconds

KINDS = ("probe", "http", "cmd", "sql", "promql")
OWN: dict[str, tuple[str, ...]] = {  # which further keys a source of a kind may have
    "probe": ("method", "path"),
    "http": ("service", "take", "equals"),
    "cmd": ("service",),
    "sql": ("service",),
    "promql": ("service",),
}
LATENCIES = ("p50", "p95", "p99")
Op = Literal["<", "<=", ">", ">=", "==", "!="]
LONGEST_WINDOW = 3600  # seconds
ANY = 1000  # as a limit: so many looks never come together


class Source(Strict):
    """Where a gate's number comes from: exactly one of probe, http, cmd, sql and promql."""

    probe: Literal["p50", "p95", "p99", "failed", "5xx"] | None = Field(
        None, description="the deploy's prober: ms until the answer; percent of requests that failed, or answered 5xx"
    )
    http: HttpPath | None = Field(None, description="path that is asked: through the gateway, or a service's own slot")
    cmd: list[Text] | None = Field(
        None, min_length=1, description="words, run in the slot's container on each of its hosts; prints a number"
    )
    sql: Text | None = Field(
        None, description="query of one row and column, run as a role that can only read; a database knows no slots"
    )
    promql: Text | None = Field(
        None, description="query, asked of `prometheus`; $slot and $release are filled in; of several series the worst"
    )
    service: Name | None = Field(
        None,
        description="cmd, http: whose slot (http without it: the gateway); sql: the database; promql: whose slot $slot "
        "is. Default where there is one only",
    )
    method: Literal["GET", "POST", "WS"] | None = Field(
        None, description="probe: only these requests; WS: the WebSocket, opened anew again and again"
    )
    path: HttpPath | None = Field(None, description="probe: only requests of this path")
    take: Annotated[str, Field(pattern=TAKE)] = Field(
        "status", description="http: status, ms, or a value of the JSON answer, as in $.queue.depth; true is 1"
    )
    equals: Any = Field(
        None, description="http: the number is 1 where what `take` found is this, and 0 where it is not"
    )
    timeout: Duration = Field("4s", description="longest time for one answer; shorter than the gate's `every`")

    @property
    def kind(self) -> str:
        """probe, http, cmd, sql or promql."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def unit(self) -> str:
        """What its number is in."""
        if self.probe:
            return "ms" if self.probe in LATENCIES else "%"
        return "ms" if self.http and self.take == "ms" else ""

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = f"not {' and '.join(given)}" if given else "and not nothing"
            raise ValueError(f"give one of {', '.join(KINDS[:-1])} and {KINDS[-1]}, {found}")
        for key in ("service", "method", "path", "take", "equals"):
            if key in self.model_fields_set and key not in OWN[given[0]]:
                belongs = " and ".join(kind for kind in KINDS if key in OWN[kind])
                raise ValueError(f"{key} is for {belongs}, and this is {given[0]}")
        if isinstance(self.equals, list | dict):
            raise ValueError("equals must be text, a number, True or False")
        if self.method == "WS" and self.probe != "failed":
            raise ValueError(f"of a WebSocket only the openings that failed are known; write failed for {self.probe}")
        if self.method == "WS" and self.path:
            raise ValueError("path is for requests; the prober's WebSocket is release.websocket")
        return self


class Baseline(Strict):
    """What the old slot does at the same time."""

    slot: Literal["old"] = Field("old", description="the slot of the release before")
    ratio: float = Field(gt=0, le=1000, allow_inf_nan=False, description="the limit is the old slot's times this")


class Gate(Strict):
    """A number that is looked at again and again; it lets a release go on, or sends it back.

    A look passes, fails, is an error (the question could not be asked), has no data, or is inconclusive (too little).
    """

    name: Name = Field(description="stands in output, report and messages")
    source: Source = Field(description="where its number comes from")
    op: Op = Field("<", description="how number and limit compare for a pass")
    value: float | None = Field(None, allow_inf_nan=False, description="the limit")
    baseline: Baseline | None = Field(
        None, description="the old slot's number at the same time; with `value` the more lenient one is the limit"
    )
    every: Duration = Field("5s", description="time between two looks")
    window: Duration = Field(
        "30s",
        description="probe: the time that a look looks back on, after the switch only. All: in this time after the "
        "switch, too little data is no news yet",
    )
    min_samples: int = Field(20, ge=1, description="probe: with fewer requests in the window a look is inconclusive")
    fail_limit: int = Field(2, ge=0, le=ANY, description="looks that may fail; one more sends the release back")
    error_limit: int = Field(4, ge=0, le=ANY, description="looks that may be errors")
    nodata_limit: int = Field(0, ge=0, le=ANY, description="looks that may have no data")
    inconclusive_limit: int = Field(0, ge=0, le=ANY, description="looks that may be inconclusive")
    consecutive: bool = Field(True, description="count what came since the last pass; False: all since the switch")

    @model_validator(mode="after")
    def _makes_sense(self) -> Gate:
        if self.value is None and self.baseline is None:
            raise ValueError("has no limit; give value, or baseline, or both")
        if self.baseline and self.op in ("==", "!="):
            raise ValueError(f"op {self.op} and baseline exclude each other; two slots are never quite the same")
        if self.baseline and self.source.probe and self.op not in ("<", "<="):
            raise ValueError(f"op {self.op} wants the new slot to be slower than the old one; write <")
        if seconds(self.window) < seconds(self.every):
            raise ValueError(f"window {self.window} is shorter than every, {self.every}: what is between is never seen")
        if seconds(self.window) > LONGEST_WINDOW:
            raise ValueError(f"window {self.window} is too long; an hour is the most that is kept")
        if seconds(self.source.timeout) >= seconds(self.every):
            raise ValueError(f"source.timeout {self.source.timeout} must be shorter than every, {self.every}")
        if "min_samples" in self.model_fields_set and not self.source.probe:
            raise ValueError(f"min_samples counts the prober's requests; {self.source.kind} gives one number a look")
        if self.baseline and self.source.sql:
            raise ValueError("baseline needs a slot, and a database has none; give value")
        if self.baseline and self.source.promql and not {"$slot", "$release"} & {*_marks(self.source.promql)}:
            raise ValueError("baseline needs $slot or $release in promql; without them both slots are one number")
        if self.baseline and self.source.http and not self.source.service:
            raise ValueError("baseline needs service: the gateway sends nobody to the old slot")
        if self.baseline and self.source.probe and (self.source.probe not in LATENCIES or self.source.method == "POST"):
            raise ValueError("baseline is for p50, p95 and p99 of GETs: the old slot is asked nothing else")
        return self


def _marks(text: str) -> list[str]:
    return [mark for mark in ("$slot", "$release") if mark in text]


def _named(gates: list[Gate]) -> list[Gate]:
    names = [gate.name for gate in gates]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two are named {name!r}; a name must tell which one failed")
    return gates


Gates = Annotated[list[Gate], AfterValidator(_named)]

# S0's criteria for a release ("Response times < 200ms (p95)", "No 5xx errors in logs"), for a system that gives none.
# The third, "all return 200", is release.max_failed. A machine that is slow itself makes both slots slow: only what is
# slower than the old slot at the same time fails. What cannot be measured here is no reason to go back.
_LENIENT: dict[str, Any] = {"error_limit": ANY, "nodata_limit": ANY, "inconclusive_limit": ANY}
DEFAULTS = [
    Gate(name="no_5xx", source=Source(probe="5xx"), op="==", value=0, window="5s", **_LENIENT),
    Gate(name="p95", source=Source(probe="p95"), value=200, baseline=Baseline(ratio=2.0), **_LENIENT),
]
