"""Layer 4: the gateway serves every system of its host, each from its live slot."""

from pyinfra import host

from operations import flow, run
from operations.gateway import serve
from operations.host_command import follows

plan = run.plan()
for system in host.loop(plan.systems_on(host.name)):
    if plan.switched(system) and host.name != plan.coordinator(system).name:
        follows(system, run.live(system).generation)
if plan.fleet.gateway.on in host.groups:
    serve(plan, host.name, run.secrets())
flow.barrier(name="the gateways are ready on all hosts")
