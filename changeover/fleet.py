"""From all hosts' merged data to one checked picture: which systems, which hosts, what runs where.

Pure: takes plain dictionaries (pyinfra's merged host data), gives frozen models or a SettingsError with every finding.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from changeover.problems import Problem, SettingsError, from_validation, nearest
from changeover.settings import App, Fleet, Postgres, Run, Service, System

# Data keys that belong to pyinfra's connectors and global arguments, not to us.
PYINFRA_KEY = re.compile(r"^(_[a-z_]+|ssh_[a-z_]+|docker_[a-z_]+|fake_[a-z_]+)$")
PLACEHOLDER = re.compile(r"\{([a-z]+)\.([A-Za-z0-9_]+)\}")
IMAGE_WORDS = {"registry", "mirror", "system", "service", "release"}
OWN_KEYS = {"address", "fleet", "overrides", *Run.model_fields}


@dataclass(frozen=True)
class Host:
    """A host of the inventory: its name, its groups in order, and the private address that others reach it at."""

    name: str
    groups: tuple[str, ...]
    address: str


@dataclass(frozen=True)
class Plan:
    """The checked whole: shared settings, systems by name, hosts by name in inventory order, and this run's options."""

    fleet: Fleet
    systems: dict[str, System]
    hosts: dict[str, Host]
    run: Run
    environment_file: str = ""
    members: dict[str, list[str]] = field(default_factory=dict)

    def group(self, name: str, system: str | None = None) -> list[Host]:
        """Hosts of an inventory group, in inventory order; with a system, only those that are also in its group."""
        wanted = {name} if system is None else {name, system}
        return [host for host in self.hosts.values() if wanted <= set(host.groups)]

    def hosts_of(self, system: str, service: str) -> list[Host]:
        """Hosts that run a service. A singleton runs on the first of its group."""
        settings = self.systems[system].services[service]
        hosts = self.group(settings.on, system)
        return hosts[:1] if isinstance(settings, App) and settings.singleton else hosts

    def services_on(self, system: str, host: str, layer: int | None = None) -> dict[str, Service]:
        """The services of a system that a host runs, by name; of one layer, or of all."""
        return {
            name: service
            for name, service in self.systems[system].services.items()
            if layer in (None, service.layer) and any(h.name == host for h in self.hosts_of(system, name))
        }

    def systems_on(self, host: str) -> list[str]:
        """Names of the systems whose group a host is in, limited to this run's `system`."""
        groups = self.hosts[host].groups
        return [name for name in self.systems if name in groups and self.run.system in (None, name)]

    def gateways(self, system: str) -> list[Host]:
        """The gateways that serve a system; the first is its coordinator (CONTRACTS.md)."""
        return self.group(self.fleet.gateway.on, system) if self.systems[system].domain else []

    def coordinator(self, system: str) -> Host:
        """The host whose state.json says what is live: the first gateway, or the first host of the system."""
        return (self.gateways(system) or self.group(system))[0]

    def run_dir(self, system: str) -> str:
        """The system's folder on its hosts."""
        return self.systems[system].run_dir or f"/srv/{system}"

    def secrets_file(self) -> Path:
        """The 0600 file that secrets may come from."""
        return Path(self.fleet.secrets_file.format(environment=self.fleet.environment))

    def secrets_wanted(self) -> list[tuple[str, str]]:
        """(system, secret name) of all that the systems need, each once."""
        wanted: dict[tuple[str, str], None] = {}
        for system, settings in self.systems.items():
            for service in settings.services.values():
                for name in secret_names(service):
                    wanted[system, name] = None
        return list(wanted)


def secret_names(service: Service) -> list[str]:
    """Names of the secrets whose values a service's files are made from."""
    names = list(service.secrets) if isinstance(service.secrets, list) else []
    if isinstance(service.secrets, dict):
        for text in service.secrets.values():
            names += [key.removeprefix("secret.") for key in placeholders(text) if key.startswith("secret.")]
    if isinstance(service, Postgres):
        names += [service.superuser_secret, service.owner_secret]
    return list(dict.fromkeys(names))


def placeholders(text: str) -> list[str]:
    """The {kind.NAME} in a text of env or secrets; other braces (JSON) are left alone."""
    return [f"{kind}.{name}" for kind, name in PLACEHOLDER.findall(text)]


def load(hosts: Sequence[tuple[str, Sequence[str], Mapping[str, Any]]], directory: str = "group_data") -> Plan:
    """Checks the merged data of all hosts and gives the plan.

    Arguments: (name, groups, data) for each host in inventory order; the folder that messages name.
    Raises SettingsError with every finding.
    """
    problems: list[Problem] = []
    data = {name: dict(values) for name, _, values in hosts}
    groups = {name: tuple(names) for name, names, _ in hosts}
    known_groups = {group for names in groups.values() for group in names}
    environment = next((names[-1] for names in groups.values() if names), "all")
    inventory = f"inventories/{environment}.py"
    file_of = {"fleet": f"{directory}/all.py"}

    raw: dict[str, Any] = {}
    for host, values in data.items():
        for key, value in values.items():
            if key in known_groups and isinstance(value, dict) or key == "fleet":
                file_of.setdefault(key, f"{directory}/{key}.py")
                if raw.setdefault(key, copy.deepcopy(value)) != value:
                    problems.append(
                        Problem(inventory, f"{host}.{key}", "differs from another host's; one system, one file")
                    )
            elif key not in OWN_KEYS and not PYINFRA_KEY.match(key):
                known = OWN_KEYS | known_groups
                problems.append(Problem(f"{directory} or {inventory}", key, f"unknown name{nearest(key, known)}"))
    if "fleet" not in raw:
        problems.append(Problem(f"{directory}/all.py", "fleet", "is missing"))

    overrides: Mapping[str, Any] = next((values["overrides"] for values in data.values() if "overrides" in values), {})
    override_file = f"{directory}/{environment}.py"
    overridden = _override(raw, overrides, override_file, problems)

    fleet = _model(Fleet, raw.pop("fleet", {}), "fleet", file_of["fleet"], problems, overridden, override_file)
    systems = {
        name: _model(System, value, name, file_of[name], problems, overridden, override_file)
        for name, value in raw.items()
    }
    first = next(iter(data.values()), {})
    run = _model(Run, {k: first[k] for k in Run.model_fields if k in first}, "--data", "the command line", problems)
    members: dict[str, Host] = {}
    for name, values in data.items():
        address = values.get("address")
        if not isinstance(address, str):
            problems.append(
                Problem(inventory, f"{name}.address", "is missing: the private address other hosts reach it at")
            )
        members[name] = Host(name, groups[name], str(address))
    if None in systems.values() or fleet is None or run is None or problems:
        raise SettingsError(list(dict.fromkeys(problems)))

    plan = Plan(fleet, systems, members, run, override_file)
    problems += checks(plan, file_of)
    if problems:
        raise SettingsError(problems)
    return plan


def _model(model, value, name, file, problems, overridden=(), override_file=""):
    try:
        return model.model_validate(value)
    except ValidationError as error:
        for problem in from_validation(error, model, file, name):
            if problem.path in overridden:
                problem = Problem(override_file, f'overrides["{problem.path}"]', problem.message)
            elif name == "--data":
                key = problem.path.removeprefix("--data.")
                got = value.get(key)
                message = problem.message
                if isinstance(got, int | float) and not isinstance(got, bool):
                    message = f"pyinfra reads {got} as a number; write --data '{key}=\"{got}\"' with the quotes"
                problem = Problem(file, f"--data {key}", message)
            problems.append(problem)
        return None


def _override(raw: dict[str, Any], overrides: Mapping[str, Any], file: str, problems: list[Problem]) -> set[str]:
    """Puts {"system.dotted.path": value} into raw; gives the paths that were set."""
    done = set()
    for path, value in overrides.items():
        top, *rest = path.split(".")
        if top not in raw or not rest:
            problems.append(Problem(file, f'overrides["{path}"]', f"no system or fleet named {top}{nearest(top, raw)}"))
            continue
        target = raw[top]
        for part in rest[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                problems.append(Problem(file, f'overrides["{path}"]', f"{part} is a value, nothing lies below it"))
                break
        else:
            target[rest[-1]] = value
            done.add(path)
    return done


def checks(plan: Plan, file_of: Mapping[str, str]) -> list[Problem]:
    """What no single key can know: groups, ports, domains, placeholders, the engine's service."""
    found: list[Problem] = []
    known_groups = {group for host in plan.hosts.values() for group in host.groups}
    if plan.run.system and plan.run.system not in plan.systems:
        hint = nearest(plan.run.system, plan.systems)
        found.append(Problem("the command line", "--data system", f"no system named {plan.run.system}{hint}"))
    for name, system in plan.systems.items():
        here = file_of[name]
        for key, service in system.services.items():
            path = f"{name}.services.{key}"
            if service.on not in known_groups:
                found.append(
                    Problem(
                        here,
                        f"{path}.on",
                        f"no group {service.on} in the inventory{nearest(service.on, known_groups)}",
                    )
                )
            elif not plan.hosts_of(name, key):
                found.append(Problem(here, f"{path}.on", f"no host is in both groups {service.on} and {name}"))
            found += _texts(path, here, system, service)
            if isinstance(service, App) and service.routes and not system.domain:
                found.append(Problem(here, f"{path}.routes", f"needs {name}.domain, the name the gateway answers to"))
        if system.domain and not plan.gateways(name):
            found.append(
                Problem(here, f"{name}.domain", f"no host is in both groups {plan.fleet.gateway.on} and {name}")
            )
        if system.migrations:
            found += _migrations(name, here, system)
    return [*found, *_ports(plan, file_of), *_domains(plan, file_of)]


def _texts(path: str, file: str, system: System, service: Service) -> Iterable[Problem]:
    secrets = service.secrets if isinstance(service.secrets, dict) else {}
    for where, texts, kinds in (
        ("env", service.env, ("address",)),
        ("secrets", secrets, ("address", "secret")),
    ):
        for key, text in texts.items():
            for name in placeholders(text):
                kind, _, rest = name.partition(".")
                if kind not in kinds or not rest:
                    allowed = " and ".join(f"{{{k}.NAME}}" for k in kinds)
                    yield Problem(file, f"{path}.{where}.{key}", f"{{{name}}} is unknown; known are {allowed}")
                elif kind == "address" and rest not in system.services:
                    yield Problem(file, f"{path}.{where}.{key}", f"no service {rest}{nearest(rest, system.services)}")


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
                f"{wanted!r} is no {kind.__name__.lower()} service{nearest(wanted, names)}",
            )


def _ports(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    for host in plan.hosts.values():
        taken: dict[int, str] = {}
        if plan.fleet.gateway.on in host.groups:
            taken = {
                plan.fleet.gateway.http_port: "the gateway",
                plan.fleet.gateway.https_port: "the gateway",
            }
        for name in plan.systems:
            for key, service in plan.services_on(name, host.name).items():
                for where, port in host_ports(service).items():
                    if port in taken:
                        message = f"port {port} on {host.name} is taken by {taken[port]}"
                        yield Problem(file_of[name], f"{name}.services.{key}.{where}", message)
                    taken.setdefault(port, f"{name}.services.{key}.{where}")


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
                if routes.setdefault((name, route), key) != key:
                    yield Problem(
                        file_of[name],
                        f"{name}.services.{key}.routes",
                        f"{route} is {routes[name, route]}'s already",
                    )
