"""Layer 4: the gateway serves every system of its host, each from its live slot."""

from pyinfra import host

from operations import flow, run
from operations.gateway import serve

plan = run.plan()
if plan.fleet.gateway.on in host.groups:
    serve(plan, host.name)
flow.barrier(name="the gateways are ready on all hosts")
