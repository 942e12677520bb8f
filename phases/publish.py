"""The team's own commands before a switch: static files go where users fetch them, before the pages that name them."""

from pyinfra import host

from operations import flow, run
from operations.commands import commands

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        commands(plan, system, "before", run.release(system), run.known_release(system) or "")
flow.barrier(name="the team's own commands have run")
