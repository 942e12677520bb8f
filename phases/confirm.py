"""The systems answer through their gateways; a new release is watched, then confirmed, or goes back."""

from pyinfra import host

from operations import flow, run
from operations.checklist import gone_through
from operations.confirm import answering
from operations.release import confirm

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and plan.hosts[host.name] in plan.gateways(system):
        answering(plan, system, paged=bool(run.live(system).maintenance))
flow.barrier(name="all systems answer")
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        confirm(plan, system, run.live(system), run.txn(), run.actor())
        gone_through(plan, system, run.live(system), "after")
