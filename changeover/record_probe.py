"""What record.json says of the traffic: when it moved, and what the deploy's own prober saw of it."""

from typing import Annotated, Literal

from pydantic import Field

from changeover.record_base import Count, Figure, Output, Part, Time

MOST = 600  # intervals of a series: more would make a page that is slow to open, and no clearer
EXAMPLES = 10  # failed requests that are told one by one


class Moment(Part):
    """A move of the traffic, by the control machine's clock."""

    system: str
    """The system whose traffic it is."""
    kind: Literal["switch", "step", "confirm", "back"]
    """switch: to the new release, all of it; step: a part of it; confirm: it stays; back: to the release before."""
    label: str
    """What a person reads: traffic to 1.1.0."""
    at: Time
    """When it was asked for, UTC."""
    until: Time
    """When the host had answered that it is done, UTC."""


class Figures(Part):
    """Requests and their latencies: of those that were answered rightly, WebSockets left out."""

    sent: Count
    """Requests sent."""
    failed: Count
    """Requests that failed: no answer, another status than wanted, a socket that was cut."""
    p50: Figure | None = None
    """Half were answered within this, in milliseconds; null: none was answered."""
    p95: Figure | None = None
    """19 of 20 were answered within this, in milliseconds."""
    max: Figure | None = None
    """The slowest answer, in milliseconds."""


class Interval(Figures):
    """The requests of one interval of the series."""

    t: Time
    """When the interval begins, UTC."""
    slots: dict[str, Count] = {}
    """Slot to the number of requests that it answered, where the answer tells the slot."""


class Span(Figures):
    """The requests between two moves of the traffic."""

    name: str
    """Which part of the run: before the switch, after traffic to 1.1.0."""
    since: Time
    """When the first of them was sent, UTC."""
    until: Time
    """When the last of them was sent, UTC."""


class FailedRequest(Part):
    """One request that failed."""

    t: Time
    """When it was sent, UTC."""
    request: Output
    """Its method and path."""
    slot: str = ""
    """The slot that answered, where the answer tells."""
    error: Output
    """What was wrong with the answer."""


class Probe(Part):
    """The deploy's own prober."""

    file: str
    """Its samples, a path beside record.json."""
    sent: Count
    """Requests sent."""
    failed: Count
    """Requests that failed."""
    system: str = ""
    """The system that was asked."""
    width: Annotated[Figure, Field(gt=0)] = 1.0
    """Seconds of an interval of the series."""
    series: Annotated[list[Interval], Field(max_length=MOST)] = []
    """The samples, summed up by intervals; an interval without a request is left out."""
    spans: list[Span] = []
    """The samples, summed up between the moves of the traffic: before and after, side by side."""
    failures: Annotated[list[FailedRequest], Field(max_length=EXAMPLES)] = []
    """The first requests that failed."""
