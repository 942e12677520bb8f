"""systemd units: they run, they run after a reboot, and they have read their files."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.units import Unit, UnitStates


@operation()
def ready(running: Mapping[str, Sequence[str]] | None = None, enabled: Sequence[str] = ()) -> Generator[StringCommand]:
    """
    Units are enabled and active, and restarted when a file that they read is newer than their start.

    Not wired to another operation's result, so that a run that was killed between the two is mended by the next.
    One command asks for all of them: each call of systemctl takes a host a while.

    + running: full name, such as docker.service -> the files that the unit only reads when it starts
    + enabled: those that are only enabled, and left to run when their time comes: at boot
    """
    wanted = {**{unit: list(reads) for unit, reads in (running or {}).items()}, **{unit: [] for unit in enabled}}
    found = host.get_fact(UnitStates, units=wanted)
    done = True
    for unit in wanted:
        for command in commands(unit, found.get(unit, Unit()), unit in (running or {})):
            done = False
            yield StringCommand(command)
    if done:
        host.noop(f"{', '.join(wanted)}: as wanted")


def commands(unit: str, state: Unit, runs: bool) -> list[str]:
    """What brings a unit where it shall be. Arguments: its name; how it is; whether it runs now, or only at boot."""
    made = ["systemctl daemon-reload"] if state.unread else []  # or it would be started as its old files say
    if not state.enabled:
        made.append(f"systemctl enable {unit}")
    if runs and not state.active:
        made.append(f"systemctl start {unit}")
    elif runs and state.stale:
        made.append(f"systemctl restart {unit}")
    return made
