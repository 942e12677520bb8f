"""Traffic and workers go to the release, on all hosts or none, under a lease."""

from pyinfra import host

from operations import flow, run
from operations.release import switch

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if run.rolls_out(system) and host.name == plan.coordinator(system).name:
        switch(plan, system, run.live(system), run.txn(), run.actor())
flow.barrier(name="traffic is where it should be")
