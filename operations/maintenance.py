"""The maintenance page of a system, at all its gateways: 503 with Retry-After (S3, "Maintenance Mode")."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, deploy, operation

from changeover.live import Live
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
