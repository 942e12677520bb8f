"""Times that must fit together, or requests are lost at a switch (CONTRACTS.md, "The gateway")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from changeover.plan import Plan
from changeover.problems import Problem
from changeover.settings import App, System
from changeover.words import seconds


def times(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    """Keep-alive of apps; uploads and answers against the end of the old slot."""
    for name, system in plan.systems.items():
        for key, service in system.services.items():
            if isinstance(service, App) and service.routes:
                path = f"{name}.services.{key}"
                yield from _keepalive(plan, file_of[name], path, service)
                if service.slots:
                    yield from _old_slot(file_of[name], path, system, service)


def _keepalive(plan: Plan, file: str, path: str, service: App) -> Iterable[Problem]:
    upstream = plan.fleet.gateway.upstream_keepalive
    if seconds(service.keepalive) <= seconds(upstream):
        why = "or the app closes a connection just when a POST is sent on it"
        message = f"{service.keepalive} must be longer than fleet.gateway.upstream_keepalive, {upstream}, {why}"
        yield Problem(file, f"{path}.keepalive", message)


def _old_slot(file: str, path: str, system: System, service: App) -> Iterable[Problem]:
    """The gateway hands a body on when it is whole: an upload that began before the switch arrives after it."""
    drain, warm = seconds(service.drain), system.release.keep_warm
    recreated, grace = system.release.strategy == "recreate", seconds(service.stop_grace)
    if recreated and "drain" in service.model_fields_set and grace < drain:
        why = f"{service.stop_grace} is all that what is under way has when a release is recreated, not drain"
        yield Problem(file, f"{path}.stop_grace", f"{why}; write {service.drain}, or leave drain out")
    for prefix, route in service.routes.items():
        if not route.websocket and seconds(route.upload) > drain:
            message = f"{route.upload} is longer than drain, {service.drain}: a POST would arrive at a stopped slot"
            yield Problem(file, f"{path}.routes.{prefix}.upload", message)
        if not route.websocket and not recreated and seconds(route.timeout) > drain + grace:
            both = f"drain and stop_grace together, {service.drain} and {service.stop_grace}"
            message = f"{route.timeout} is longer than {both}: an answer under way would be cut off; raise drain"
            yield Problem(file, f"{path}.routes.{prefix}.timeout", message)
    if seconds(warm) < drain:
        message = f"{warm} is shorter than {path}.drain, {service.drain}: the old slot would be stopped before its time"
        yield Problem(file, f"{path.partition('.')[0]}.release.keep_warm", message)
