"""What the host command knows of a system: /etc/changeover/<system>.json, compiled from the plan (CONTRACTS.md)."""

from __future__ import annotations

import json
from typing import Any

from changeover.plan import Plan
from changeover.settings import App
from changeover.settings_steps import ALL
from changeover.words import whole_seconds

SCHEMA = 1
ME = '"?"'


def config(plan: Plan, system: str, host: str) -> str:
    """The file's text for one host of the system. Times in seconds; only services with slots are listed."""
    return plan.once(f"config of {system}", lambda: _config(plan, system)).replace(ME, json.dumps(host))


def _config(plan: Plan, system: str) -> str:
    """The text of all hosts, with ME where each says its own name."""
    settings = plan.systems[system]
    members = plan.group(system)
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "system": system,
        "me": "?",
        "environment": plan.fleet.environment,
        "coordinator": plan.coordinator(system).name,
        "gateways": [gateway.name for gateway in plan.gateways(system)],
        "hosts": {member.name: {"address": member.address, "port": 22} for member in members},
        "run_dir": plan.run_dir(system),
        "slots_dir": f"{plan.fleet.gateway.run_dir}/slots/{system}",
        "lease": whole_seconds(settings.release.lease),
        "keep_warm": whole_seconds(settings.release.keep_warm),
        "keep_releases": settings.release.keep,
        "strategy": settings.release.strategy,
        "steps": [step.who.percent for step in settings.release.steps if step.who.percent < ALL],
        "order": [host.name for host in plan.turns(system)],
        "migration": migration(plan, system),
        "services": {
            name: {
                "hosts": [member.name for member in plan.hosts_of(system, name)],
                "traffic": bool(service.slots),
                "singleton": service.singleton,
                "stop_grace": whole_seconds(service.stop_grace),
                "start_timeout": whole_seconds(service.start_timeout),
                "drain": whole_seconds(service.drain),
            }
            for name in plan.switched(system)
            if isinstance(service := settings.services[name], App)
        },
    }
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def migration(plan: Plan, system: str) -> dict[str, str] | None:
    """Where the schema is changed: host, and the container's fixed name; None where no engine changes one."""
    found = plan.systems[system].migrations
    if not found:
        return None
    return {"host": plan.hosts_of(system, found.service)[0].name, "container": container(plan.run_dir(system))}


def container(directory: str) -> str:
    """The name of the container that changes the schema. Argument: folder of the compose project."""
    return f"{directory.strip('/').replace('/', '-')}-migrate"
