"""The end of a deploy: the system answers through its gateway, and every host writes down what is live."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover.files import Directory, File
from changeover.fleet import Plan
from changeover.live import Live, installed
from changeover.secrets import Secrets
from changeover.stack import slotted, wanted_release
from facts.gateway import Answers
from facts.host import STATE_DIR, state_path
from operations import flow
from operations.database import Look
from operations.files import tree


@deploy("confirm")
def answering(plan: Plan, system: str) -> None:
    """This gateway answers for the system. Arguments: the plan; the system's name."""
    answers(name=f"{system}: the gateway answers", checks=gateway_checks(plan, system))


@deploy("confirm")
def written_down(plan: Plan, system: str, live: Live, secrets: Secrets) -> None:
    """This host knows what is live of the system.

    Arguments: the plan; the system's name; what was live before; where secrets come from.
    """
    migrations = plan.systems[system].migrations
    state_written(
        name=f"{system}: what is live is written down",
        system=system,
        live=live,
        release=wanted_release(plan, system, live),
        slotted=slotted(plan, system),
        look=Look(plan, system, migrations, secrets) if migrations else None,
    )


@operation()
def state_written(
    system: str, live: Live, release: str, slotted: list[str], look: Look | None
) -> Generator[StringCommand | FunctionCommand]:
    """
    state.json says that the release is live, and at which version the schema is.

    + system: its name
    + live: what was live before
    + release: what is live now
    + slotted: names of the services with slots
    + look: gives the schema's state; none for a system without migrations
    """
    version = look().version if look else None
    if version == "":
        yield flow.failure([f"{look} does not tell its schema's version; run: pyinfra INVENTORY phases/database.py -y"])
        return
    new = installed(live, release, slotted, {"release": release, "version": version} if version else None)
    yield from tree._inner(
        files=[File(state_path(system), new.to_json())],
        directories=[Directory(STATE_DIR), Directory(f"{STATE_DIR}/{system}")],
    )


def gateway_checks(plan: Plan, system: str) -> list[str]:
    """URLs that must answer on a gateway of the system: one per route, its health path where it has one."""
    settings = plan.systems[system]
    scheme, port = ("https", plan.fleet.gateway.https_port) if settings.tls else ("http", plan.fleet.gateway.http_port)
    paths = []
    for service in settings.services.values():
        for prefix, route in getattr(service, "routes", {}).items():
            health = service.health.http if service.health and service.health.http else prefix
            below = health.startswith(prefix.rstrip("/") + "/")
            paths.append(health if below else f"{prefix.rstrip('/')}/" if not route.websocket else "")
    return [f"{scheme}://{settings.domain}:{port}{path}" for path in dict.fromkeys(paths) if path]


@operation()
def answers(checks: list[str]) -> Generator[FunctionCommand]:
    """
    Each URL answers 200 on this gateway.

    + checks: URLs with the system's name; they are asked at 127.0.0.1
    """
    found = host.get_fact(Answers, urls=checks)
    wrong = [f"{url}: {found.get(url, 'no answer')}" for url in checks if found.get(url) != "200"]
    if wrong:
        yield flow.failure([*wrong, "look: docker compose -f /srv/gateway/compose.yaml logs --tail 20"])
    else:
        host.noop(f"{len(checks)} routes answer")
