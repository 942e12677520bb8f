"""What a container may do: as little as its service can live with. Pure.

Sources: docs.docker.com/reference/compose-file/services; CIS Docker Benchmark 5.3 (capabilities), 5.12 (root file
system read only), 5.25 (no new privileges), 5.28 (processes), 5.29 (the default bridge).
"""

from __future__ import annotations

from typing import Any

from changeover.networks import network
from changeover.plan import Plan
from changeover.settings import Postgres, Service

# Official images: PostgreSQL puts its socket there; as nobody's folder it need not be prepared by root.
OWN_TMPFS = {Postgres: ["/var/run/postgresql"]}


def confined(plan: Plan, system: str, name: str, service: Service) -> dict[str, Any]:
    """The keys of a container that confine it. Arguments: the plan; names of system and service; the service."""
    own = next((folders for kind, folders in OWN_TMPFS.items() if isinstance(service, kind)), [])
    in_memory = {entry.partition(":")[0]: entry for entry in service.tmpfs}
    return {
        "security_opt": ["no-new-privileges:true"],
        "cap_drop": ["ALL"],
        "cap_add": list(service.capabilities),
        "read_only": service.read_only,
        "tmpfs": list((in_memory | {one: in_memory.get(one, one) for one in own}).values()),
        "pids_limit": service.pids,
        "networks": [network(plan, system, name)],
    }
