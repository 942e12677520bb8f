"""The systems answer through their gateways; then every host writes down what is live."""

from pyinfra import host

from operations import flow, run
from operations.confirm import answering, written_down

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and plan.hosts[host.name] in plan.gateways(system):
        answering(plan, system)
flow.barrier(name="all systems answer")
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name):
        written_down(plan, system, run.live(system), run.secrets())
