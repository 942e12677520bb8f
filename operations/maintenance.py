"""The maintenance page of a system, at all its gateways: 503 with Retry-After (S3, "Maintenance Mode")."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover.live import Live
from changeover.plan import Plan
from changeover.record import Check
from changeover.routes import health_paths
from operations import flow, watch
from operations.host_command import BINARY


@deploy("maintenance")
def maintenance(system: str, live: Live, on: bool, actor: str, why: str | None) -> None:
    """The page is on, or off. Arguments: the system's name; what is live; which; who runs it; why, for the record."""
    page(
        name=f"{system}: the maintenance page is {'on' if on else 'off'}",
        already=bool(live.maintenance) == on,
        words=["maintenance", system, "on" if on else "off", "--by", actor, *(["--why", why] if why else [])],
    )


@operation()
def page(already: bool, words: list[str]) -> Generator[StringCommand]:
    """
    The gateways show the page, or serve.

    + already: whether it is so
    + words: verb, system and options for the host command
    """
    if already:
        host.noop("it is so already")
        return
    yield StringCommand(shlex.join([BINARY, *words]))


def unseen(plan: Plan, system: str) -> None:
    """What nobody looks at when a release goes live behind the page. Arguments: the plan; the system's name."""
    settings = plan.systems[system]
    said(
        name=f"{system}: what is not seen behind the maintenance page",
        system=system,
        tests=[one.name for one in settings.release.smoke],
        asked=health_paths(settings, paged=True) or [watch.OWN_HEALTH],
    )


@operation(is_idempotent=False)
def said(system: str, tests: Sequence[str], asked: Sequence[str]) -> Generator[FunctionCommand]:
    """
    What nobody looks at is said, in output and record.

    + system: its name
    + tests: names of the smoke tests that are not sent
    + asked: paths that answer behind the page
    """

    def say(state: Any, host: Any) -> bool:
        seen = f"watched are the containers and {', '.join(asked)}"
        for item in [*(f"smoke test: {name}" for name in tests), "what users ask for is probed"]:
            why = f"not done: the maintenance page is on; {seen}"
            source = f"changeover maintenance {system} status"
            flow.CHECKS.append(Check(item=f"{system}: {item}", source=source, verdict="skipped", evidence=why))
        left = f"what users ask for is not probed, {len(tests)} smoke tests are not sent"
        host.log_styled(f"{system}: the maintenance page is on: {left}; {seen}", fg="yellow")
        host.log_styled(f"next   look at the release, then: sudo changeover maintenance {system} off", fg="yellow")
        return True

    yield FunctionCommand(say, (), {})
