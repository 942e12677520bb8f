"""Whether what serves is still what this run released, asked anew: before that no old secret is taken away.

Between a confirmation and the end of a rotation a person, or the hosts themselves, may go back to what has old ones.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, operation
from pyinfra.api.state import StateStage

from changeover.live import Live, places
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.settings import Postgres
from changeover.stack import containers, rolls_out, wanted_release
from operations import flow, lock
from operations.ask import at_once, shell, spoken

AGAIN = "pyinfra INVENTORY runbooks/rotate_secrets.py -y"
TRIES, NAP = 5, 2.0  # how often a coordinator at which somebody is at work is asked, and seconds between
LIMIT = 30  # seconds for an engine's answer
RUNNING = '{{.Names}} {{.Label "changeover.service"}} {{.Label "changeover.secrets"}}'


@dataclass(frozen=True)
class Served:
    """What serves a system when this run has confirmed its release. `secrets`: {host: {service: digest of its own}}."""

    system: str
    coordinator: str
    slots: Mapping[str, str] = field(repr=False)
    generation: int = 0  # that was live when the run began
    moved: bool = False  # whether the run moved traffic
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)


def served(plan: Plan, system: str, live: Live, secrets: Secrets | None = None) -> Served:
    """What must serve. Arguments: plan; system; what was live before; where secrets come from, to look at these too."""
    release = wanted_release(plan, system, live)
    slots = {}
    for name in plan.switched(system):
        found = {place.role: place.slot for place in places(live, name, release)}
        slots[name] = str(found.get("candidate") or found["live"])
    services, digests = plan.systems[system].services, {}
    for member in plan.group(system) if secrets else ():
        specs = containers(plan, system, member.name, live, secrets) if secrets else []
        digests[member.name] = {
            spec.service: spec.body["labels"]["changeover.secrets"]
            for spec in specs
            if "changeover.secrets" in spec.body["labels"] and not isinstance(services[spec.service], Postgres)
        }
    moved = rolls_out(plan, system, live)
    return Served(system, plan.coordinator(system).name, slots, live.generation, moved, digests)


def elsewhere(wanted: Served, said: Mapping[str, Any]) -> list[str]:
    """Why what a coordinator says of itself is not what this run confirmed; empty when it is. Pure."""
    found = [
        f"{name} serves from {slot or 'no slot'}, and this run confirmed {wanted.slots[name]}"
        for name, slot in ((name, (said["slots"].get(name) or {}).get("live")) for name in wanted.slots)
        if slot != wanted.slots[name]
    ]
    generation = said["generation"]
    stale = generation <= wanted.generation if wanted.moved else generation != wanted.generation
    if wanted.slots and not found and stale:
        found.append(f"generation {generation} is live, and this run began with {wanted.generation}")
    if lease := said.get("lease"):
        found.append(f"a switch is not confirmed yet ({lease.get('txn')})")
    if at_work := said.get("busy"):
        found.append(f"{at_work.get('verb')} by {at_work.get('by')} is at work")
    return found


def outdated(wanted: Mapping[str, str], lines: Sequence[str]) -> list[str]:
    """Names of containers that run with other secrets. Arguments: {service: digest}; lines as of RUNNING. Pure."""
    rows = [(line.split(" ") + ["", ""])[:3] for line in lines if line.strip()]
    return [name for name, service, digest in rows if service in wanted and digest != wanted[service]]


def reasons(inventory: Any, wanted: Served) -> list[str]:
    """Why no old secret may be taken away now; empty when it may. Arguments: pyinfra's inventory; what must serve."""
    coordinator = inventory.get_host(wanted.coordinator)
    said: dict[str, Any] | None = None
    for count in range(TRIES):
        if count:
            time.sleep(NAP)
        done, lines = lock.ask(coordinator, "status", wanted.system, "--quick", "--json")
        said = spoken(lines) if done else None
        if said is None or "slots" not in said:
            return [f"{wanted.coordinator} does not say what is live: {' '.join(lines) or 'no answer'}"]
        if not said.get("busy"):
            break
    found = elsewhere(wanted, said or {})
    hosts = {name: inventory.get_host(name) for name, services in wanted.secrets.items() if services}
    words = ["docker", "ps", "--filter", f"label=changeover.system={wanted.system}", "--format", RUNNING]
    for name, (done, lines) in at_once(hosts, lambda one: shell(one, words, LIMIT)).items():
        if not done:
            found.append(f"{name} does not say what runs there: {' '.join(lines) or 'no answer'}")
        found += [f"{one} on {name} runs with other secrets" for one in outdated(wanted.secrets[name], lines) if done]
    return found


def told(wanted: Served, found: Sequence[str]) -> list[str]:
    """What a person reads. Arguments: what must serve; why nothing was taken away."""
    return [
        f"{wanted.system}: nothing was locked, the old passwords work as before: {'; '.join(found)}",
        f"next   on {wanted.coordinator}: sudo changeover status {wanted.system}; when that is as you want it: {AGAIN}",
    ]


@operation()
def unchanged(wanted: Served) -> Generator[FunctionCommand]:
    """
    What serves is what this run confirmed.

    + wanted: that
    """
    found = reasons(host.state.inventory, wanted) if host.state.current_stage >= StateStage.Execute else []
    if found:
        yield flow.failure(told(wanted, found))
    else:
        host.noop("it is")
