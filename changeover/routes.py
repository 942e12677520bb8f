"""Which path of the gateway leads where: a route is a prefix, and some are taken away before the service sees them."""

from __future__ import annotations

from changeover.settings import App, Route, System


def covers(prefix: str, path: str) -> bool:
    """Whether a path of the gateway, with or without a query, lies at or below a prefix."""
    return f"{path.partition('?')[0].rstrip('/')}/".startswith(f"{prefix.rstrip('/')}/")


def route_of(system: System, path: str) -> Route | None:
    """The route that a path of the gateway takes: the longest prefix that covers it; None when none does."""
    found = {
        prefix: route
        for service in system.services.values()
        if isinstance(service, App)
        for prefix, route in service.routes.items()
        if covers(prefix, path)
    }
    return found[max(found, key=lambda prefix: len(prefix.rstrip("/")))] if found else None


def service_of(system: System, path: str) -> tuple[str, str] | None:
    """The service that answers a path of the gateway, and the path as it sees it; None where no route covers it."""
    found = {
        prefix: (name, route)
        for name, service in system.services.items()
        if isinstance(service, App)
        for prefix, route in service.routes.items()
        if covers(prefix, path)
    }
    if not found:
        return None
    prefix = max(found, key=lambda prefix: len(prefix.rstrip("/")))
    name, route = found[prefix]
    cut = path[len(prefix.rstrip("/")) :] if route.strip else path
    return name, cut if cut.startswith("/") else f"/{cut}"


def health_path(service: App, prefix: str, route: Route) -> str | None:
    """The path of the gateway that asks a service's own health path; None when this route does not lead there."""
    health = service.health
    if not health or not health.http or health.port not in (None, service.port):
        return None
    return _outside(health.http, prefix, route)


def _outside(inside: str, prefix: str, route: Route) -> str | None:
    """The path of the gateway that a route leads to a service's own path by; None when it does not."""
    path = f"{prefix.rstrip('/')}{inside}" if route.strip else inside
    return path if covers(prefix, path) else None


def open_paths(service: App, prefix: str, route: Route) -> list[str]:
    """Paths of the gateway, without a query, that answer for the service's health in maintenance too: alive, and ready.

    What a prefix itself leads to is a page for users, also where the service's health is asked there.
    """
    found = [health_path(service, prefix, route)]
    found += [_outside(service.ready.http, prefix, route)] if service.ready else []
    bare = [path.partition("?")[0] for path in found if path]
    return [path for path in dict.fromkeys(bare) if path.rstrip("/") != prefix.rstrip("/")]


def health_paths(system: System, paged: bool = False) -> list[str]:
    """The health paths of a system, each once; with `paged` those that answer behind the maintenance page too."""
    paths = [
        path
        for service in system.services.values()
        if isinstance(service, App)
        for prefix, route in service.routes.items()
        if (path := health_path(service, prefix, route))
        and (not paged or path.partition("?")[0] in open_paths(service, prefix, route))
    ]
    return list(dict.fromkeys(paths))
