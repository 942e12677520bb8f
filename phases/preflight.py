"""Refuses before anything is changed."""

from pyinfra import host

from operations import before, run
from operations.preflight import fit, objections, preflight

plan = run.plan()
found = fit(plan)
before.look(plan)
mine = plan.systems_on(host.name)
coordinated = {system: run.live(system) for system in mine if plan.coordinator(system).name == host.name}
preflight(
    plan,
    live={system: run.live(system) for system in mine},
    found=found.get(host.name, []),
    more=[*objections(plan, coordinated), *(line for system in coordinated for line in run.stranger(system))],
)
