"""What no single key of the settings can know: groups, ports, domains, images, placeholders, the engine's service."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from string import Formatter
from typing import Any

from changeover.checks_data import majors
from changeover.checks_gates import gates
from changeover.checks_texts import smoke_texts, texts
from changeover.checks_times import times
from changeover.checks_tls import certificates
from changeover.plan import Plan
from changeover.problems import Problem, nearest
from changeover.routes import health_paths, route_of
from changeover.settings import NAME, App, Postgres, Service, System

OWN_NAMES = ("gateway", "fleet", "all")  # compose projects and data keys of ours


def checks(plan: Plan, file_of: Mapping[str, str], inventory: str = "the inventory") -> list[Problem]:
    """Every contradiction between the parts of a plan.

    Arguments: the plan; the file of each system's settings; the inventory file that messages name.
    """
    found = [*_run(plan), *_fleet(plan, file_of["fleet"], inventory)]
    for name, system in plan.systems.items():
        here = file_of[name]
        found += [*_system(plan, name, here, system, inventory)]
        for key, service in system.services.items():
            path = f"{name}.services.{key}"
            found += [
                *_group(plan, name, key, service, here, inventory),
                *texts(path, here, name, system, service),
                *(_image(service.image, here, f"{path}.image", **_values(plan, name, key)) if service.image else ()),
            ]
    if found:
        return found  # ports and routes are only worth a look once the hosts are known
    watched = [p for name, system in plan.systems.items() for p in _watched(name, file_of[name], system)]
    return [
        *_ports(plan, file_of),
        *_domains(plan, file_of),
        *_folders(plan, file_of),
        *_volumes(plan, file_of),
        *times(plan, file_of),
        *majors(plan, file_of),
        *certificates(plan, file_of),
        *gates(plan, file_of),
        *watched,
    ]


def _run(plan: Plan) -> Iterable[Problem]:
    if plan.run.system and plan.run.system not in plan.systems:
        hint = nearest(plan.run.system, plan.systems)
        yield Problem("the command line", "--data system", f"no system named {plan.run.system}{hint}")


def _fleet(plan: Plan, file: str, inventory: str) -> Iterable[Problem]:
    gateway, groups = plan.fleet.gateway, plan.known_groups()
    if gateway.on not in groups and any(system.domain for system in plan.systems.values()):
        hint = nearest(gateway.on, groups)
        yield Problem(file, "fleet.gateway.on", f"no group {gateway.on} in {inventory}{hint}")
    yield from _image(
        gateway.image, file, "fleet.gateway.image", registry=plan.fleet.registry, mirror=plan.fleet.mirror
    )
    for number, one in enumerate(plan.fleet.firewall.open):
        if one.on is not None and one.on not in groups:
            path = f"fleet.firewall.open.{number}.on"
            yield Problem(file, path, f"no group {one.on} in {inventory}{nearest(one.on, groups)}")
    yield from _braces(plan.fleet.secrets_file, ("environment",), file, "fleet.secrets_file")
    for number, word in enumerate(command := plan.fleet.secrets_command):
        yield from _braces(word, ("name", "system", "environment"), file, f"fleet.secrets_command.{number}")
    if command and not any("{name}" in word for word in command):
        yield Problem(file, "fleet.secrets_command", "names no {name}, so that every secret would have one value")


def _system(plan: Plan, name: str, file: str, system: System, inventory: str) -> Iterable[Problem]:
    if not re.fullmatch(NAME, name) or name in OWN_NAMES:
        yield Problem(file, name, "cannot be a system's name: small letters, digits and _, and not gateway")
    if system.domain and plan.fleet.gateway.on in plan.known_groups() and not plan.gateways(name):
        yield Problem(file, f"{name}.domain", f"no host is in both groups {plan.fleet.gateway.on} and {name}")
    yield from _image(system.image, file, f"{name}.image", **_values(plan, name, "service"))
    yield from _braces(system.release.tag_name, ("system", "release", "environment"), file, f"{name}.release.tag_name")
    if system.migrations:
        yield from _migrations(name, file, system)
    served = [one for one in system.services.values() if isinstance(one, App) and one.slots and one.routes]
    if system.release.steps and not served:
        why = f"no service of {name} has slots and routes, so there are no clients to divide"
        yield Problem(file, f"{name}.release.steps", why)
    if (strategy := system.release.strategy) != "blue_green":
        path = f"{name}.release.strategy"
        if not plan.switched(name):
            yield Problem(file, path, f"is {strategy}, but no service of {name} has slots: all is replaced in place")
        elif strategy == "rolling" and not system.domain:
            yield Problem(file, path, f"is rolling, but each host is watched through the gateway; give {name} a domain")


def _group(plan: Plan, system: str, key: str, service: Service, file: str, inventory: str) -> Iterable[Problem]:
    path, groups = f"{system}.services.{key}", plan.known_groups()
    if service.on not in groups:
        yield Problem(file, f"{path}.on", f"no group {service.on} in {inventory}{nearest(service.on, groups)}")
    elif not plan.hosts_of(system, key):
        yield Problem(file, f"{path}.on", f"no host is in both groups {service.on} and {system}")
    if isinstance(service, App) and service.routes and not plan.systems[system].domain:
        yield Problem(file, f"{path}.routes", f"needs {system}.domain, the name the gateway answers to")
    if isinstance(service, App) and service.slots and key not in plan.switched(system):
        of = "layer 1 is replaced in place" if service.layer == 1 else "its image is the same in each release"
        mend = "give it layer 2 or 3" if service.layer == 1 else "write {release} into it"
        why = f"{of}, so no slot would ever be switched to; {mend}, or publish instead of slots"
        yield Problem(file, f"{path}.slots", why)


def _values(plan: Plan, system: str, service: str) -> dict[str, str]:
    """What fills the placeholders of a service's image."""
    release = plan.run.release or plan.systems[system].initial_release
    fleet = plan.fleet
    return dict(registry=fleet.registry, mirror=fleet.mirror, system=system, service=service, release=release)


def _image(text: str, file: str, path: str, **values: str) -> Iterable[Problem]:
    """An image must be the same one tomorrow: an exact tag or a digest."""
    if problems := list(_braces(text, tuple(values), file, path)):
        yield from problems
        return
    image = text.format(**values)
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        why = "has the tag latest" if tag else "has no tag"
        yield Problem(file, path, f"{image} {why}, which is another image tomorrow; name an exact tag or digest")


def _braces(text: str, known: tuple[str, ...], file: str, path: str) -> Iterable[Problem]:
    """The {words} of a text that nothing fills in."""
    allowed = " ".join(f"{{{word}}}" for word in known)
    try:
        words: list[Any] = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except ValueError:
        yield Problem(file, path, f"{text!r} has a brace without its other one; known are {allowed}")
        return
    for word, form, conversion in words:
        if form or conversion or word not in known:
            yield Problem(file, path, f"{{{word}}} is unknown{nearest(word, known)}; known are {allowed}")


def _migrations(name: str, file: str, system: System) -> Iterable[Problem]:
    migrations = system.migrations
    assert migrations is not None
    for key, kind in (("service", App), ("database", Postgres)):
        wanted = getattr(migrations, key)
        if not isinstance(system.services.get(wanted), kind):
            names = [n for n, s in system.services.items() if isinstance(s, kind)]
            yield Problem(
                file,
                f"{name}.migrations.{key}",
                f"{wanted!r} is no service of kind {kind.__name__.lower()}{nearest(wanted, names)}",
            )


def _watched(name: str, file: str, system: System) -> Iterable[Problem]:
    """What the prober asks must be answered by the system; a release that nothing looks at is not watched."""
    release = system.release
    asked = {f"{name}.release.probe.{number}.path": one.path for number, one in enumerate(release.probe)}
    asked |= {f"{name}.release.smoke.{number}.path": one.path for number, one in enumerate(release.smoke)}
    for path, wanted in asked.items():
        if not route_of(system, wanted):
            yield Problem(file, path, f"no route of {name} leads to {wanted}")
    events = {f"smoke.{number}.event.path": one.event.path for number, one in enumerate(release.smoke) if one.event}
    sockets = {"websocket": release.websocket} if release.websocket else {}
    for key, wanted in (sockets | events).items():
        route = route_of(system, wanted)
        if not route or not route.websocket:
            yield Problem(file, f"{name}.release.{key}", f"no route with websocket leads to {wanted}")
    for number, one in enumerate(release.smoke):
        yield from smoke_texts(f"{name}.release.smoke.{number}", file, name, system, one)
    traffic = any(isinstance(service, App) and service.slots and service.routes for service in system.services.values())
    if traffic and not release.probe and not health_paths(system):
        message = "is missing: no health path is behind its service's route, so a release would not be watched"
        yield Problem(file, f"{name}.release.probe", message)


def _ports(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    clashes: dict[tuple[str, str, int, str], list[str]] = {}
    for host in plan.hosts.values():
        taken: dict[int, str] = {}
        if plan.fleet.gateway.on in host.groups:
            gateway = plan.fleet.gateway
            taken = {gateway.http_port: "the gateway", gateway.https_port: "the gateway"}
        for name in plan.systems:
            for key, service in plan.services_on(name, host.name).items():
                for where, port in host_ports(service).items():
                    path = f"{name}.services.{key}.{where}"
                    if port in taken:
                        clashes.setdefault((file_of[name], path, port, taken[port]), []).append(host.name)
                    taken.setdefault(port, path)
    for (file, path, port, other), hosts in clashes.items():
        yield Problem(file, path, f"port {port} is taken by {other} on {', '.join(hosts)}")


def _volumes(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    """Databases of one kind in one system and on one host would share a volume."""
    for name in plan.systems:
        for host in plan.hosts:
            first: dict[str, str] = {}
            for key, service in plan.services_on(name, host).items():
                if service.kind != "app" and first.setdefault(service.kind, key) != key:
                    message = (
                        f"{host} runs {first[service.kind]} already, and one {service.kind} of a system is all it takes"
                    )
                    yield Problem(file_of[name], f"{name}.services.{key}.on", message)


def host_ports(service: Service) -> dict[str, int]:
    """Host ports of a service by the key that sets them."""
    ports = {f"dev_ports.{port}": port for port in service.dev_ports}
    if isinstance(service, App) and service.slots:
        ports |= {"slots.blue": service.slots.blue, "slots.green": service.slots.green}
    if service.publish:
        ports["publish"] = service.publish
    return ports


def _domains(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    seen: dict[str, str] = {}
    routes: dict[tuple[str, str], str] = {}
    for name, system in plan.systems.items():
        if system.domain and seen.setdefault(system.domain, name) != name:
            yield Problem(file_of[name], f"{name}.domain", f"{system.domain} is {seen[system.domain]}'s already")
        for key, service in system.services.items():
            for route in service.routes if isinstance(service, App) else ():
                path, bare = f"{name}.services.{key}.routes.{route}", route.rstrip("/")
                if bare == "/nginx-health":
                    yield Problem(file_of[name], path, "is the gateway's own health page")
                elif (name, bare) in routes:
                    yield Problem(file_of[name], path, f"is {routes[name, bare]}'s already")
                routes.setdefault((name, bare), key)


def _folders(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    owner = {plan.fleet.gateway.run_dir: "the gateway"}
    for name in plan.systems:
        if owner.setdefault(plan.run_dir(name), name) != name:
            folder = plan.run_dir(name)
            yield Problem(file_of[name], f"{name}.run_dir", f"{folder} is {owner[folder]}'s already")
