"""What a container may do: as little as its service can live with. Pure.

Sources: docs.docker.com/reference/compose-file/services; CIS Docker Benchmark 5.3 (capabilities), 5.12 (root file
system read only), 5.25 (no new privileges), 5.28 (processes), 5.29 (the default bridge).
"""

from __future__ import annotations

from typing import Any

from changeover.plan import Plan, placeholders
from changeover.settings import Nats, Postgres, Service

BACK, FRONT = "back", "front"
# Official images: PostgreSQL puts its socket there; as nobody's folder it need not be prepared by root.
OWN_TMPFS = {Postgres: ["/var/run/postgresql"]}


def confined(plan: Plan, system: str, name: str, service: Service) -> dict[str, Any]:
    """The keys of a container that confine it. Arguments: the plan; names of system and service; the service."""
    own = next((folders for kind, folders in OWN_TMPFS.items() if isinstance(service, kind)), [])
    return {
        "security_opt": ["no-new-privileges:true"],
        "cap_drop": ["ALL"],
        "cap_add": list(service.capabilities),
        "read_only": service.read_only,
        "tmpfs": list(dict.fromkeys([*service.tmpfs, *own])),
        "pids_limit": service.pids,
        "networks": [BACK if reached(plan, system, name) or reaches(service) else FRONT],
    }


def reaches(service: Service) -> bool:
    """Whether a service is given the address of another."""
    return any(word.startswith("address.") for text in _texts(service) for word in placeholders(text))


def reached(plan: Plan, system: str, name: str) -> bool:
    """Whether a service's address is given to another, or it is a database or a broker, which only such ones need."""
    services = plan.systems[system].services
    given = any(f"address.{name}" in placeholders(text) for one in services.values() for text in _texts(one))
    return given or isinstance(services[name], Postgres | Nats)


def _texts(service: Service) -> list[str]:
    given = (service.env, service.secrets, service.secret_env)
    return [text for one in given if isinstance(one, dict) for text in one.values()]
