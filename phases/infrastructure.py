"""Layer 1: databases and brokers run and are healthy."""

from pyinfra import host

from operations import flow, run, stack

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name):
        stack.layer(plan, system, host.name, run.live(system), run.secrets(), number=1)
flow.barrier(name="layer 1 is healthy on all hosts")
