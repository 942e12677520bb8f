"""The gateways have a certificate for each system that wants one of an authority, before a slot is given away."""

from pyinfra import host

from operations import flow, run
from operations.certificates import had

plan = run.plan()
if plan.fleet.gateway.on in host.groups:
    had(plan, host.name, run.secrets())
flow.barrier(name="the certificates are there")
