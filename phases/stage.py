"""The idle slots are given to the release, and every host has its images; nothing that serves is touched."""

from pyinfra import host

from operations import flow, images, run
from operations.release import stage

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and run.rolls_out(system):
        images.looked_up(plan, system, host.name, run.live(system))
flow.barrier(name="it is known which images the release is")
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        stage(plan, system, run.live(system), run.txn(), run.actor())
flow.barrier(name="the idle slots are given out")
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and run.rolls_out(system):
        images.here(plan, system, host.name, run.live(system))
flow.barrier(name="every host has the images")
