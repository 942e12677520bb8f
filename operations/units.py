"""systemd units: they run, they run after a reboot, and they have read their files."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.units import UnitState


@operation()
def running(unit: str, reads: Sequence[str] = ()) -> Generator[StringCommand]:
    """
    A unit is enabled and active; it is restarted when a file that it reads is newer than its start.

    Not wired to another operation's result, so that a run that was killed between the two is mended by the next.

    + unit: its full name, such as docker.service
    + reads: files that it only reads when it starts
    """
    state = host.get_fact(UnitState, unit=unit, reads=list(reads))
    if state.unread:
        yield StringCommand("systemctl daemon-reload")  # or it would be stopped and started as its old files say
    if not state.enabled:
        yield StringCommand("systemctl enable", unit)
    if not state.active:
        yield StringCommand("systemctl start", unit)
    elif state.stale:
        yield StringCommand("systemctl restart", unit)
    if state.enabled and state.active and not state.stale and not state.unread:
        host.noop(f"{unit} runs, is enabled and has read its files")


@operation()
def enabled(unit: str) -> Generator[StringCommand]:
    """
    A unit is enabled, its files are read, and it is left to run when its time comes: at boot.

    + unit: its full name
    """
    state = host.get_fact(UnitState, unit=unit, reads=[])
    if state.unread:
        yield StringCommand("systemctl daemon-reload")
    if not state.enabled:
        yield StringCommand("systemctl enable", unit)
    if state.enabled and not state.unread:
        host.noop(f"{unit} is enabled")
