"""Certificates and keys on the control machine: every run asks for them, a deploy asks whether clients take them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from changeover import tls_files
from changeover.plan import Plan
from changeover.settings import Tls


def missing(plan: Plan) -> list[str]:
    """Files that the settings name and this machine does not have, or cannot read."""
    named = {
        f"{name}.tls.{key}": path
        for name, tls in _given(plan).items()
        for key, path in tls.model_dump(exclude_none=True).items()
    }
    if (acme := plan.fleet.gateway.acme) and acme.ca:
        named["fleet.gateway.acme.ca"] = acme.ca
    return [f"{key}: {why}" for key, path in named.items() if (why := _unread(path))]


def unfit(plan: Plan, system: str) -> list[str]:
    """Why no client would take a system's certificate. Not asked of a way back: that goes with any."""
    if not (tls := _given(plan).get(system)):
        return []
    pair = Path(tls.certificate).read_bytes(), Path(tls.key).read_bytes()
    found = tls_files.faults(*pair, plan.systems[system].domain, datetime.now(UTC))
    return [f"{system}.tls.{key}: {getattr(tls, key)} {why}" for key, why in found.items()]


def soon(plan: Plan) -> list[str]:
    """Certificates that end within 14 days, a line each."""
    now = datetime.now(UTC)
    ends = {name: tls_files.soon(Path(tls.certificate).read_bytes(), now) for name, tls in _given(plan).items()}
    return [f"{name}'s certificate {when}; renew it" for name, when in ends.items() if when]


def _given(plan: Plan) -> dict[str, Tls]:
    return {name: system.tls for name, system in plan.systems.items() if isinstance(system.tls, Tls)}


def _unread(path: str) -> str | None:
    try:
        Path(path).read_bytes()
    except FileNotFoundError:
        return f"no file {path} on this machine"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None
