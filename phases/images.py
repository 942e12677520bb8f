"""Every host has the images of the release; no slot is touched yet, so what fails here costs nobody the way back."""

from pyinfra import host

from operations import flow, images, run

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and run.rolls_out(system):
        images.looked_up(plan, system, host.name, run.live(system))
flow.barrier(name="it is known which images the release is")
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and run.rolls_out(system):
        images.here(plan, system, host.name, run.live(system))
flow.barrier(name="every host has the images")
