"""A systemd unit: does it run, will it after a reboot, and is a file that it reads newer than its start."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Unit:
    """`stale` are the files changed since the unit started; `unread`: systemd itself has not read the unit's files."""

    active: bool
    enabled: bool
    stale: tuple[str, ...]
    unread: bool = False


class UnitState(FactBase[Unit]):
    """State of a unit, and which of the files it reads are newer than its start."""

    def requires_command(self, unit: str, reads: list[str]) -> str:
        return "systemctl"

    def command(self, unit: str, reads: list[str]) -> str:
        """Never fails; an unknown unit is inactive. Times are compared in nanoseconds."""
        name, files = shlex.quote(unit), " ".join(map(shlex.quote, reads))
        return (
            f"systemctl is-active -q {name} && echo active; systemctl is-enabled -q {name} 2>/dev/null && echo enabled;"
            f" systemctl show -p NeedDaemonReload --value {name} | grep -qx yes && echo unread;"
            f' t=$(systemctl show --timestamp=us+utc -p ActiveEnterTimestamp --value {name}); [ -n "$t" ] || exit 0;'
            ' s=$(date -u -d "$t" +%s%N);'
            f' for f in {files}; do [ -e "$f" ] || continue; m=$(stat -c %.9Y "$f" | tr -d .);'
            ' [ "$m" -gt "$s" ] && echo "stale $f"; done; true'
        )

    @staticmethod
    def default() -> Unit:
        return Unit(False, False, ())

    def process(self, output: list[str]) -> Unit:
        stale = tuple(line.removeprefix("stale ") for line in output if line.startswith("stale "))
        return Unit("active" in output, "enabled" in output, stale, "unread" in output)
