"""How a run takes a system from one release to the next: all hosts at once, host by host, stopped, or by steps."""

from __future__ import annotations

from typing import Literal

from changeover.live import Live, SlotState
from changeover.plan import Plan
from changeover.settings import Step
from changeover.settings_steps import ALL
from changeover.stack import new_release, unplaced

Strategy = Literal["blue_green", "rolling", "recreate"]


def strategy(plan: Plan, system: str, live: Live) -> Strategy:
    """As the settings say, where something that runs is replaced; a first installation is just switched to."""
    replaced = replaces(plan, system, live) and plan.switched(system)
    return plan.systems[system].release.strategy if replaced else "blue_green"


def replaces(plan: Plan, system: str, live: Live) -> bool:
    """Whether this run replaces something that runs."""
    left = any(live.slots.get(name, SlotState()).live for name in unplaced(plan, system, live))
    return live.release.live is not None and bool(new_release(plan, system, live) or live.drifted or left)


def steps(plan: Plan, system: str, live: Live) -> list[Step]:
    """The weighted steps before the switch; of a release that was paused, from where it stands: it is watched anew."""
    at = live.weight.percent if live.weight else 0
    declared = plan.systems[system].release.steps if replaces(plan, system, live) else []
    return [step for step in declared if at <= step.who.percent < ALL]
