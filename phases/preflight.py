"""Refuses before anything is changed."""

from pyinfra import host

from operations import run
from operations.preflight import preflight

plan = run.plan()
preflight(plan, live={system: run.live(system) for system in plan.systems_on(host.name)})
