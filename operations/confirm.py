"""The end of a deploy: the system answers through its gateway, and every host writes down what is live."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, deploy, operation

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
    release = wanted_release(plan, system, live)

    def state() -> list[File]:
        new = installed(live, release, slotted(plan, system), migrated_version(plan, system, release, live, secrets))
        return [File(state_path(system), new.to_json())]

    tree(
        name=f"{system}: what is live is written down",
        files=state,
        directories=[Directory(STATE_DIR), Directory(f"{STATE_DIR}/{system}")],
    )


def migrated_version(plan: Plan, system: str, release: str, live: Live, secrets: Secrets) -> dict[str, str] | None:
    """The schema's version as the database says now; None for a system without migrations."""
    migrations = plan.systems[system].migrations
    if not migrations:
        return None
    return {"release": release, "version": Look(plan, system, migrations, secrets)().version}


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
