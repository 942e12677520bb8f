"""Makes a bare host one that can run systems: engine, deploy user, folders, time, the host command."""

from contextlib import suppress

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError

from operations import flow, host_command, run
from operations.provision import provision

plan = run.plan()
for system in plan.systems_on(host.name):
    with suppress(PyinfraError):  # a damaged state is no reason not to mend the host
        run.live(system)  # asked once for all hosts; the run's last line says what is live
provision(plan.fleet, host.name)
host_command.installed(plan, host.name)
flow.barrier(name="every host has its key")
host_command.peered(plan, host.name)
