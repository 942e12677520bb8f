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

HEADER = "X-Changeover-Early"
SHORTEST = 16  # characters of the secret: a value is seen by whoever is chosen, who could try secrets against it


def cookie(system: str) -> str:
    """The cookie's name: systems may share a domain's names."""
    return f"changeover_early_{system}"


def signed(secret: str, system: str, name: str) -> str:
    """What a user or team sends. Arguments: the secret's value; the system; the name in the data."""
    return f"{name}.{hmac.new(secret.encode(), f'{system}:{name}'.encode(), hashlib.sha256).hexdigest()}"


def values(plan: Plan, system: str, source: Secrets) -> dict[str, tuple[int, str]]:
    """{name: (the percentage of its step, its value)} of all that are chosen. Arguments: plan; system; the secrets."""
    release = plan.systems[system].release
    chosen = {name: step.who.percent for step in release.steps for name in step.who.names}
    if not chosen:
        return {}
    secret = source.get(system, str(release.early_secret))
    return {name: (percent, signed(secret, system, name)) for name, percent in chosen.items()}


def weak(plan: Plan, source: Secrets) -> list[str]:
    """Secrets that could be guessed. Arguments: the plan; where secrets come from."""
    return [
        f"secret {name} (system {system}) is shorter than {SHORTEST} characters; make one: openssl rand -hex 32"
        for system, settings in plan.systems.items()
        if (name := settings.release.early_secret) and len(source.get(system, name)) < SHORTEST
    ]
