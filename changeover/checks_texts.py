"""Texts with placeholders: what they name must be there, and a secret's value must not stand in group_data. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from changeover.plan import placeholders
from changeover.problems import Problem, nearest
from changeover.settings import Container, Postgres, Smoke, System

# What was meant as a placeholder and is none: {secret}, {Secret.X}, {secret.MY-KEY}
NEARLY = re.compile(r"\{\s*(?:secret|address|login)s?\b[^{}\"]*\}", re.IGNORECASE)
PASSWORDS = ("authorization", "cookie", "x-api-key")  # headers that open doors


def texts(path: str, file: str, name: str, system: System, service: Container) -> Iterable[Problem]:
    """Placeholders in env and secrets; a secret's text without one would be a secret in group_data.

    Arguments: the service's path and file, for messages; its system's name; the system; the service.
    """
    for where, given, kinds in (
        ("env", service.env, ("address",)),
        ("secrets", service.secrets, ("address", "login", "secret")),
        ("secret_env", service.secret_env, ("address", "login", "secret")),
    ):
        for key, text in given.items() if isinstance(given, dict) else ():
            here = f"{path}.{where}.{key}"
            if problem := _placeholder_problem(text, kinds, name, system):
                yield Problem(file, here, problem)
            elif where != "env" and not any(p.startswith(("secret.", "login.")) for p in placeholders(text)):
                yield Problem(file, here, "names no {secret.NAME}; a value belongs in the secrets file, or under env")
    for key in sorted({*service.secrets} & {*service.secret_env}):
        yield Problem(file, f"{path}.secret_env.{key}", "is a file already (secrets); one of the two is enough")
    yield from _login(path, file, system, service)
    yield from _databases(path, file, system, service)


def _login(path: str, file: str, system: System, service: Container) -> Iterable[Problem]:
    """Who is given a database's password must take the name that belongs to it, which changes with the password."""
    wanted = [one for one in (service.secrets, service.secret_env) if one]
    texts = [text for one in wanted if isinstance(one, dict) for text in one.values()]
    names = [name for one in wanted if isinstance(one, list) for name in one]
    known = {word for text in texts for word in placeholders(text)} | {f"secret.{name}" for name in names}
    for key, database in system.services.items():
        if not isinstance(database, Postgres) or database is service or f"login.{key}" in known:
            continue
        if f"secret.{database.owner_secret}" in known:
            why = f"holds {database.owner_secret}, the password of a login whose name changes with it"
            yield Problem(file, f"{path}.secrets", f"{why}; write {{login.{key}}} for the name")


def _databases(path: str, file: str, system: System, service: Container) -> Iterable[Problem]:
    """A login is made when its database is up; a superuser's password is for nobody but the database."""
    wanted: dict[str, list[str]] = {}
    for where, given in (("secrets", service.secrets), ("secret_env", service.secret_env)):
        named = given if isinstance(given, dict) else {name: f"{{secret.{name}}}" for name in given}
        wanted |= {f"{path}.{where}.{key}": placeholders(text) for key, text in named.items()}
    for key, database in system.services.items():
        if not isinstance(database, Postgres) or database is service:
            continue
        secret, after = database.superuser_secret, max(1, database.layer)
        own = isinstance(service, Postgres) and service.superuser_secret == secret
        for here, words in wanted.items():
            if f"login.{key}" in words and service.layer <= after:
                mend = f"give it layer {after + 1}" if after < 3 else "give both a lower layer"
                why = f"{{login.{key}}} is made after layer {after}, and this service starts in layer {service.layer}"
                yield Problem(file, here, f"{why}; {mend}")
            if f"secret.{secret}" in words and not own:
                why = f"{secret} is the password of {key}'s superuser, as whom nobody logs in"
                yield Problem(file, here, f"{why}; write {{login.{key}}} and {{secret.{database.owner_secret}}}")


def _placeholder_problem(text: str, kinds: tuple[str, ...], name: str, system: System) -> str | None:
    *others, last = [f"{{{kind}.NAME}}" for kind in kinds]
    allowed = f"{', '.join(others)} and {last}" if others else last
    found = placeholders(text)
    braces = [f"{{{word}}}" for word in found]
    nearly = [word for word in NEARLY.findall(text) if word not in braces]
    for word in [*nearly, *(f"{{{word}}}" for word in found if word.partition(".")[0] not in kinds)]:
        return f"{word} is unknown; known are {allowed}" if len(kinds) > 1 else f"{word} is unknown; known is {allowed}"
    for word in found:
        kind, _, service = word.partition(".")
        if kind == "login" and not isinstance(system.services.get(service), Postgres):
            databases = [key for key, one in system.services.items() if isinstance(one, Postgres)]
            return f"no service {service} of kind postgres{nearest(service, databases)}"
        if kind == "address" and service not in system.services:
            return f"no service {service}{nearest(service, system.services)}"
        if kind == "address" and not system.services[service].publish:
            return f"{service} has no publish, so that no other host reaches it ({name}.services.{service})"
    return None


def smoke_texts(path: str, file: str, name: str, system: System, smoke: Smoke) -> Iterable[Problem]:
    """Placeholders of a smoke test; a password in group_data. Arguments: as in texts."""
    texts = {f"headers.{key}": text for key, text in smoke.headers.items()} | {"json": str(smoke.json_)}
    for key, text in texts.items():
        if problem := _placeholder_problem(text, ("secret",), name, system):
            yield Problem(file, f"{path}.{key}", problem)
    for key, text in smoke.headers.items():
        if key.lower() in PASSWORDS and not placeholders(text):
            yield Problem(file, f"{path}.headers.{key}", "names no {secret.NAME}; a value belongs in the secrets file")
    expected = {"answer": smoke.answer, "text": smoke.text, "event.json": smoke.event.json_ if smoke.event else {}}
    for key, value in expected.items():
        for word in [word for word in placeholders(str(value)) if word.startswith("secret.")]:
            why = "only {id} is filled in here: what is wanted of an answer stands in messages and records"
            yield Problem(file, f"{path}.{key}", f"{{{word}}} is not for here; {why}")
