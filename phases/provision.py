"""Makes a bare host one that can run systems: engine, deploy user, folders, time, the host command."""

from pyinfra import host

from operations import flow, host_command, run
from operations.provision import provision

plan = run.plan()
provision(plan.fleet, host.name)
host_command.installed(plan, host.name)
flow.barrier(name="every host has its key")
host_command.peered(plan, host.name)
