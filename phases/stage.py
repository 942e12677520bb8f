"""The idle slots are given to the release, and its images are written down; nothing that serves is touched."""

from pyinfra import host

from operations import flow, run
from operations.release import stage

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        stage(plan, system, run.live(system), run.txn(), run.actor())
flow.barrier(name="the idle slots are given out")
