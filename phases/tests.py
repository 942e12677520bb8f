"""The idle slots pass the team's own integration tests (a rolling release's: each in its host's turn)."""

from pyinfra import host

from operations import flow, run
from operations.integration import idle_slots

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and run.rolls_out(system) and system not in run.systems_with("rolling"):
        idle_slots(plan, system, host.name, run.live(system))
flow.barrier(name="the idle slots are tested")
