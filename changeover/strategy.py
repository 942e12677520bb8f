"""How a run takes a system from one release to the next: all hosts at once, host by host, or stopped in between."""

from __future__ import annotations

from typing import Literal

from changeover.live import Live, SlotState
from changeover.plan import Plan
from changeover.stack import new_release, unplaced

Strategy = Literal["blue_green", "rolling", "recreate"]


def strategy(plan: Plan, system: str, live: Live) -> Strategy:
    """As the settings say, where something that runs is replaced; a first installation is just switched to."""
    left = any(live.slots.get(name, SlotState()).live for name in unplaced(plan, system, live))
    replaces = live.release.live is not None and (new_release(plan, system, live) or live.drifted or left)
    return plan.systems[system].release.strategy if replaces and plan.switched(system) else "blue_green"
