"""Makes a bare host one that can run systems: engine, deploy user, folders, time."""

from pyinfra import host

from operations import run
from operations.provision import provision

provision(run.plan().fleet, host.name)
