"""Recreate: all that the release needs is here and made; then the old one is stopped, behind the maintenance page."""

from pyinfra import host

from operations import flow, run, stack
from operations.strategies import open_

plan = run.plan()
for system in host.loop(run.systems_with("recreate")):
    if system in plan.systems_on(host.name):
        stack.made(plan, system, host.name, run.live(system), run.secrets())
    flow.barrier(name=f"{system}: what replaces the old release is here")
    if host.name == plan.coordinator(system).name:
        open_(plan, system, run.live(system), run.txn(), run.actor())
    flow.barrier(name=f"{system}: the old release is stopped")
