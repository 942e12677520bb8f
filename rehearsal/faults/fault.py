"""What a fault is: how it breaks, when, what the deploy must then say, and how it is mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scene import Scene

OLD, NEW, ANY = "old", "new", "any"
"""Which release serves in the end: the one before; the new one (the fault is survived); either, if confirmed."""

NOW = ""  # at no step: before the deploy begins
LAYER_1 = "layer 1 is up and healthy"
STAGE, LAYER_2, LAYER_3 = "takes the idle slots", "layer 2 is up and healthy (api", "layer 3 is up and healthy"
GATEWAY, SWITCH, ANSWERS = "nginx runs and is healthy", "traffic goes to", "the gateway answers"
SOAK, CONFIRM = "is watched", "is confirmed"


def nothing(scene: Scene) -> None:
    """Nothing is to be done."""


@dataclass(frozen=True)
class Fault:
    """One fault.

    `sets_up` comes before everything, `cleans` after it, whatever happened. `breaks` runs `after` seconds (s) after the
    step `at` began, or before the deploy where `at` is NOW; `mends` runs whatever happened. `says`: words that the
    deploy must print. `killed`: the deploy itself is ended, and says nothing. `cuts`: why requests may be lost; empty:
    not one may. `needs`: a look of its own, which gives what is wrong. `away`: hosts that cannot be asked while it
    lasts; `unreadable`: nor can the coordinator's state. `settles`: seconds that what the deploy began may go on,
    beyond the lease. `everyday`: part of make test-faults; all are of make rehearsal-full.
    """

    name: str
    does: str
    breaks: Callable[[Scene], None] = nothing
    at: str = NOW
    after: float = 0.0
    mends: Callable[[Scene], None] = nothing
    sets_up: Callable[[Scene], None] = nothing
    cleans: Callable[[Scene], None] = nothing
    settings: Mapping[str, Any] = field(default_factory=dict)
    release: str = ""
    says: tuple[str, ...] = ()
    ends: str = OLD
    killed: bool = False
    cuts: str = ""
    away: tuple[str, ...] = ()
    unreadable: bool = False
    settles: float = 0.0
    needs: Callable[[Scene], list[str]] | None = None
    everyday: bool = False
