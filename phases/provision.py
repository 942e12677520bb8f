"""Makes a host one that can run systems: the engine, and the host command."""

from contextlib import suppress

from pyinfra import host
from pyinfra.api.exceptions import PyinfraError

from operations import flow, host_command, run
from operations.provision import engine

plan = run.plan()
for system in plan.systems_on(host.name):
    with suppress(PyinfraError):  # a damaged state is no reason not to mend the host
        run.live(system)  # asked once for all hosts; the run's last line says what is live
engine(plan.fleet)
host_command.installed(plan, host.name)
flow.barrier(name="every host has its key")
host_command.peered(plan, host.name)
