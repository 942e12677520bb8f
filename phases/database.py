"""The database's owner and extensions, and the schema at the release's version."""

from pyinfra import host

from operations import flow, run
from operations.database import migrate, prepare

plan = run.plan()
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name):
        prepare(plan, system, host.name, run.secrets())
flow.barrier(name="databases are prepared on all hosts")
for system in host.loop(list(plan.systems)):
    if system in plan.systems_on(host.name):
        migrate(plan, system, host.name, run.live(system), run.secrets())
flow.barrier(name="schemas are as the releases want them")
