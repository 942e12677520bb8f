"""One deploy at a time: this run holds the lock of each of its systems, on the system's coordinator."""

from pyinfra import host

from operations import flow, lock, run

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name) and host.name == plan.coordinator(system).name:
        lock.alone(system, owner=run.txn(), reason=run.reason(system))
        lock.begins(system, run.live(system).generation)
flow.barrier(name="this run alone is at work")
