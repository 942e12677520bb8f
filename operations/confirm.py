"""After the switch: every route of the system answers through its gateway."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, deploy, operation

from changeover.fleet import Plan
from changeover.routes import health_path, health_paths
from changeover.settings import App
from facts.gateway import Answers
from operations import flow
from operations.watch import OWN_HEALTH

HEALTHY, REACHED = "healthy", "reached"


@deploy("confirm")
def answering(plan: Plan, system: str, paged: bool = False) -> None:
    """This gateway answers for the system. Arguments: the plan; the system; whether the page is on."""
    behind = " behind the maintenance page, health only" if paged else ""
    answers(name=f"{system}: the gateway answers{behind}", checks=gateway_checks(plan, system, paged))


def gateway_checks(plan: Plan, system: str, paged: bool = False) -> dict[str, str]:
    """{url: least that a gateway of the system must answer}, one per route.

    A route's health path, where it lies below the route, must answer 200; of another only the app must answer, not the
    gateway in its place: what / holds below a prefix is the app's own affair. Behind the maintenance page (`paged`)
    users' paths answer 503 and are not asked.
    """
    settings = plan.systems[system]
    scheme, port = ("https", plan.fleet.gateway.https_port) if settings.tls else ("http", plan.fleet.gateway.http_port)
    paths = dict.fromkeys([*health_paths(settings, paged=True), OWN_HEALTH], HEALTHY) if paged else {}
    for service in [one for one in settings.services.values() if isinstance(one, App) and not paged]:
        for prefix, route in service.routes.items():
            if health := health_path(service, prefix, route):
                paths[health] = HEALTHY
            elif not route.websocket:
                paths.setdefault(f"{prefix.rstrip('/')}/", REACHED)
    return {f"{scheme}://{settings.domain}:{port}{path}": least for path, least in paths.items()}


def fits(status: str | None, least: str) -> bool:
    """Whether an answer is enough; 5xx is the gateway's word for an app that it does not reach."""
    return status == "200" if least == HEALTHY else status is not None and status.isdigit() and status < "500"


@operation()
def answers(checks: dict[str, str]) -> Generator[FunctionCommand]:
    """
    Each URL answers on this gateway.

    + checks: {URL with the system's name: HEALTHY for 200, REACHED for any answer of the app}; asked at 127.0.0.1
    """
    found = host.get_fact(Answers, urls=list(checks))
    bad = [url for url, least in checks.items() if not fits(found.get(url), least)]
    wrong = [f"{url}: {found.get(url, 'no answer')}" for url in bad]
    if wrong:
        yield flow.failure([*wrong, "look: docker compose -f /srv/gateway/compose.yaml logs --tail 20"])
    else:
        host.noop(f"{len(checks)} routes answer")
