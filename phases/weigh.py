"""Weighted steps: shares of the clients get the release first, each watched; all of them are the switch's."""

from pyinfra import host

from changeover.strategy import steps
from operations import flow, run
from operations.steps import weigh

plan = run.plan()
for system in host.loop(run.systems_with("blue_green")):
    if host.name == plan.coordinator(system).name:
        for step in host.loop(steps(plan, system, run.live(system))):
            weigh(plan, system, run.live(system), run.txn(), run.actor(), step.who.percent)
flow.barrier(name="the steps before the switch are done")
