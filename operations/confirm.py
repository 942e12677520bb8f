"""After the switch: every route of the system answers through its gateway."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, deploy, operation

from changeover.fleet import Plan
from facts.gateway import Answers
from operations import flow


@deploy("confirm")
def answering(plan: Plan, system: str) -> None:
    """This gateway answers for the system. Arguments: the plan; the system's name."""
    answers(name=f"{system}: the gateway answers", checks=gateway_checks(plan, system))


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
