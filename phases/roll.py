"""Rolling: host by host the release is started, ready, tested, serves and is watched; the last host is the switch's."""

from pyinfra import host

from operations import flow, run, stack
from operations.integration import idle_slots
from operations.strategies import turn, turns

plan = run.plan()
for system in host.loop(run.systems_with("rolling")):
    for name in host.loop(turns(plan, system)):
        if host.name == name:
            stack.candidates(plan, system, name, run.live(system), run.secrets())
            idle_slots(plan, system, name, run.live(system))
        flow.barrier(name=f"{system}: {name} is ready")
        if host.name == plan.coordinator(system).name and name != turns(plan, system)[-1]:
            turn(plan, system, run.live(system), run.txn(), run.actor(), name)
        flow.barrier(name=f"{system}: {name} is next to its neighbours")
