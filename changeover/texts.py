"""The texts of env and secrets with their placeholders filled in: addresses, secrets, logins of databases. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

from changeover.logins import login
from changeover.plan import PLACEHOLDER, Plan
from changeover.secrets import Secrets
from changeover.settings import App, Postgres


def address(plan: Plan, system: str, service: str) -> str:
    """host:port at which other hosts reach a service without slots (the first host's)."""
    settings = plan.systems[system].services[service]
    port = settings.publish or (settings.port if not isinstance(settings, App) else None)
    return f"{plan.hosts_of(system, service)[0].address}:{port}"


def login_of(plan: Plan, system: str, database: str, secrets: Secrets) -> str:
    """The role that applications log in to a database as. Arguments: plan; system; service; where secrets come from."""
    service = plan.systems[system].services[database]
    assert isinstance(service, Postgres)
    return login(service.owner, secrets.get(system, service.owner_secret))


def fill(plan: Plan, system: str, text: str, secrets: Secrets | None = None) -> str:
    """A text with its placeholders filled in; a secret in a URL is percent-encoded, or an @ in it would end it.

    Arguments: the plan; the system; the text; where secrets come from, for a text that may hold some.
    """

    def value(found: re.Match[str]) -> str:
        kind, name = found.groups()
        if kind == "login" and secrets:
            return login_of(plan, system, name, secrets)
        if kind == "secret" and secrets:
            secret = secrets.get(system, name)
            return quote(secret, safe="") if "://" in text[: found.start()] else secret
        return address(plan, system, name)

    return PLACEHOLDER.sub(value, text)


def values(plan: Plan, system: str, wanted: dict[str, str] | list[str], source: Secrets) -> dict[str, str]:
    """{name: value} of a service's `secrets` or `secret_env`.

    Arguments: the plan; the system; these; where secrets come from.
    """
    if isinstance(wanted, dict):
        return {name: fill(plan, system, text, source) for name, text in wanted.items()}
    return {name: source.get(system, name) for name in wanted}


def broken(plan: Plan, source: Secrets) -> list[str]:
    """Passwords of databases that no client could send. Arguments: the plan; where secrets come from."""
    return [
        f"secret {name} (system {system}) holds a line break; the password of a database is one line"
        for system, settings in plan.systems.items()
        for service in settings.services.values()
        if isinstance(service, Postgres)
        for name in (service.owner_secret, service.superuser_secret)
        if "\n" in source.get(system, name)
    ]
