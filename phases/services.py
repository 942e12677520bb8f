"""Layer 2: applications and workers run and are healthy."""

from pyinfra import host

from operations import flow, run, stack

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name):
        stack.layer(plan, system, host.name, run.live(system), run.secrets(), number=2)
flow.barrier(name="layer 2 is healthy on all hosts")
