"""The team's own checklist: what must be so before a release, asked before anything is changed."""

from pyinfra import host

from operations import flow, run
from operations.checklist import gone_through

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        gone_through(plan, system, run.live(system), "before")
flow.barrier(name="the checklists are answered")
