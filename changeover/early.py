"""Chosen users and teams: a value that says who somebody is, signed by the system's secret. Pure.

The gateway compares a cookie, or a header, with the values of the names in the data. A forged one is none of them, and
whoever sends it is an ordinary client. A value tells the gateway nothing but a name, so it is good until the secret
changes or the name is taken out of the data.
"""

from __future__ import annotations

import hashlib
import hmac

from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.settings import System

HEADER = "X-Changeover-Early"
SHORTEST = 16  # characters of the secret: a value is seen by whoever is chosen, who could try secrets against it


def cookie(system: str) -> str:
    """The cookie's name: systems may share a domain's names."""
    return f"changeover_early_{system}"


def signed(secret: str, system: str, name: str) -> str:
    """What a user or team sends. Arguments: the secret's value; the system; the name in the data."""
    return f"{name}.{hmac.new(secret.encode(), f'{system}:{name}'.encode(), hashlib.sha256).hexdigest()}"


def chosen(system: System) -> dict[str, int]:
    """{name: the percentage of its step} of all users and teams that are chosen."""
    return {name: step.who.percent for step in system.release.steps for name in step.who.names}


def values(plan: Plan, system: str, source: Secrets) -> dict[str, str]:
    """{name: what it sends} of all that are chosen. Arguments: the plan; the system; where secrets come from."""
    secret = source.get(system, str(plan.systems[system].release.early_secret))
    return {name: signed(secret, system, name) for name in chosen(plan.systems[system])}


def weak(plan: Plan, source: Secrets) -> list[str]:
    """Secrets that could be guessed. Arguments: the plan; where secrets come from."""
    return [
        f"secret {name} (system {system}) is shorter than {SHORTEST} characters; make one: openssl rand -hex 32"
        for system, settings in plan.systems.items()
        if (name := settings.release.early_secret) and len(source.get(system, name)) < SHORTEST
    ]
