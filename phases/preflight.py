"""Refuses before anything is changed."""

from pyinfra import host

from operations import run
from operations.preflight import preflight

plan = run.plan()
mine = plan.systems_on(host.name)
coordinated = [system for system in mine if plan.coordinator(system).name == host.name]
preflight(
    plan,
    live={system: run.live(system) for system in mine},
    strangers=[line for system in coordinated for line in run.stranger(system)],
)
