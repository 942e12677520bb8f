"""The checked whole that everything else is decided from: hosts, systems, and what runs where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from changeover.settings import App, Fleet, Postgres, Run, Service, System, Tls

PLACEHOLDER = re.compile(r"\{([a-z]+)\.([A-Za-z0-9_]+)\}")


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

    # Asked for each host and service again and again: without these, a hundred hosts would be ten thousand searches.
    @cached_property
    def _groups(self) -> dict[str, list[Host]]:
        found: dict[str, list[Host]] = {}
        for host in self.hosts.values():
            for name in dict.fromkeys(host.groups):
                found.setdefault(name, []).append(host)
        return found

    @cached_property
    def _placed(self) -> dict[tuple[str, str], list[Host]]:
        """{(system, service): its hosts}."""
        found = {}
        for system, settings in self.systems.items():
            for name, service in settings.services.items():
                hosts = self.group(service.on, system)
                found[system, name] = hosts[:1] if isinstance(service, App) and service.singleton else hosts
        return found

    @cached_property
    def _running(self) -> dict[tuple[str, str], dict[str, Service]]:
        """{(system, host): the services that it runs}."""
        found: dict[tuple[str, str], dict[str, Service]] = {}
        for (system, name), hosts in self._placed.items():
            for host in hosts:
                found.setdefault((system, host.name), {})[name] = self.systems[system].services[name]
        return found

    @cached_property
    def _main_system(self) -> str:
        order = {name: number for number, name in enumerate(self._groups)}
        return min(self.systems, key=order.__getitem__)

    @cached_property
    def _made(self) -> dict[str, str]:
        return {}

    def once(self, key: str, make: Callable[[], str]) -> str:
        """A text that is the same for every host, made the first time that it is asked for by this key."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def group(self, name: str, system: str | None = None) -> list[Host]:
        """Hosts of an inventory group, in inventory order; with a system, only those that are also in its group."""
        return [host for host in self._groups.get(name, ()) if system is None or system in host.groups]

    def known_groups(self) -> set[str]:
        """All groups of the inventory."""
        return set(self._groups)

    def hosts_of(self, system: str, service: str) -> list[Host]:
        """Hosts that run a service. A singleton runs on the first of its group."""
        return list(self._placed[system, service])

    def services_on(self, system: str, host: str, layer: int | None = None) -> dict[str, Service]:
        """The services of a system that a host runs, by name; of one layer, or of all."""
        found = self._running.get((system, host), {})
        return {name: service for name, service in found.items() if layer in (None, service.layer)}

    def systems_on(self, host: str) -> list[str]:
        """Names of the systems whose group a host is in, limited to this run's `system`."""
        groups = self.hosts[host].groups
        return [name for name in self.systems if name in groups and self.run.system in (None, name)]

    def main_system(self) -> str:
        """The system that `release=` is for when no `system=` is given: the inventory's first group that is one."""
        return self._main_system

    def asked_release(self, system: str) -> str | None:
        """The release that this run asks for, of one system; None: it keeps what is live."""
        return self.run.release if system == (self.run.system or self.main_system()) else None

    def switched(self, system: str) -> list[str]:
        """Names of the services that have slots: each runs the release, and is moved from slot to slot."""
        settings = self.systems[system]
        return [
            name
            for name, service in settings.services.items()
            if isinstance(service, App)
            and service.publish is None
            and service.layer > 1
            and "{release}" in (service.image or settings.image)
        ]

    def turns(self, system: str) -> list[Host]:
        """Hosts with slots of a system, in the order in which a rolling release takes them: by layer, as listed."""
        services = self.systems[system].services
        layer: dict[str, int] = {}
        for name in self.switched(system):
            for host in self.hosts_of(system, name):
                layer[host.name] = min(services[name].layer, layer.get(host.name, 9))
        return sorted((h for h in self.hosts.values() if h.name in layer), key=lambda host: layer[host.name])

    def gateways(self, system: str) -> list[Host]:
        """The gateways that serve a system; the first is its coordinator (CONTRACTS.md)."""
        return self.group(self.fleet.gateway.on, system) if self.systems[system].domain else []

    def served_by(self, host: str) -> list[str]:
        """Names of the systems that a gateway serves, whatever this run is limited to."""
        return [name for name, s in self.systems.items() if s.domain and name in self.hosts[host].groups]

    def coordinator(self, system: str) -> Host:
        """The host whose state.json says what is live: the first gateway, or the first host of the system."""
        return (self.gateways(system) or self.group(system))[0]

    def trusted(self, system: str) -> str | None:
        """PEM file of the private CA that a system's certificate is of; None where public ones are trusted."""
        tls, acme = self.systems[system].tls, self.fleet.gateway.acme
        if isinstance(tls, Tls):
            return tls.ca
        return acme.ca if tls and acme else None

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
            programs = [*settings.release.commands, *(one.program for one in settings.checklist if one.program)]
            own = [key for one in programs for key in one.secrets]
            for name in [*smoke_secrets(settings), *own, *filter(None, [settings.release.early_secret])]:
                wanted[system, name] = None
        return list(wanted)


def secret_names(service: Service) -> list[str]:
    """Names of the secrets whose values a service's files are made from, or its integration tests get."""
    names: list[str] = []
    for wanted in (service.secrets, service.secret_env):
        texts = wanted.values() if isinstance(wanted, dict) else (f"{{secret.{name}}}" for name in wanted)
        found = [key for text in texts for key in placeholders(text)]
        names += [key.removeprefix("secret.") for key in found if key.startswith("secret.")]
    if isinstance(service, Postgres):
        names += [service.superuser_secret, service.owner_secret]
    if isinstance(service, App) and service.test:
        names += service.test.secrets
    return list(dict.fromkeys(names))


def shown_secrets(system: System) -> dict[str, list[str]]:
    """{service: names of secrets that it gets as variables, which `docker inspect` shows}."""
    return {name: list(service.secret_env) for name, service in system.services.items() if service.secret_env}


def smoke_secrets(system: System) -> list[str]:
    """Names of the secrets that a system's smoke tests send."""
    texts = [text for one in system.release.smoke for text in (*one.headers.values(), json.dumps(one.json_))]
    found = [key.removeprefix("secret.") for text in texts for key in placeholders(text) if key.startswith("secret.")]
    return list(dict.fromkeys(found))


def placeholders(text: str) -> list[str]:
    """The {kind.NAME} in a text of env or secrets; other braces (JSON) are left alone."""
    return [f"{kind}.{name}" for kind, name in PLACEHOLDER.findall(text)]
