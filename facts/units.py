"""systemd units: do they run, will they after a reboot, and is a file that they read newer than their start."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyinfra.api import FactBase

ASKED = ("Id", "ActiveState", "UnitFileState", "NeedDaemonReload", "ActiveEnterTimestamp")
RUNS = {"active", "reloading", "refreshing"}  # as `systemctl is-active` has it
STARTS = {"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}  # as `is-enabled` has it
MOMENT = "%a %Y-%m-%d %H:%M:%S.%f UTC"
EPOCH, MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)


@dataclass(frozen=True)
class Unit:
    """`stale` are the files changed since the unit started; `unread`: systemd itself has not read the unit's files."""

    active: bool = False
    enabled: bool = False
    stale: tuple[str, ...] = ()
    unread: bool = False


class UnitStates(FactBase[dict[str, Unit]]):
    """{unit: its state}, by one command. Argument: unit -> the files that it reads when it starts."""

    def requires_command(self, units: Mapping[str, Sequence[str]]) -> str:
        return "systemctl"

    def command(self, units: Mapping[str, Sequence[str]]) -> str:
        """Never fails; an unknown unit is inactive. Files are told in nanoseconds, starts in microseconds."""
        self._reads = units
        names = " ".join(map(shlex.quote, units))
        files = " ".join(sorted({shlex.quote(file) for reads in units.values() for file in reads}))
        shown = f"systemctl show --timestamp=us+utc -p {','.join(ASKED)} {names}"
        return f"{shown}; stat -c 'file %.9Y %n' {files} 2>/dev/null; true" if files else f"{shown}; true"

    @staticmethod
    def default() -> dict[str, Unit]:
        return {}

    def process(self, output: list[str]) -> dict[str, Unit]:
        changed, said = {}, [dict[str, str]()]
        for line in output:
            if line.startswith("file "):
                _, when, name = line.split(" ", 2)
                changed[name] = int(when.replace(".", ""))
            key, _, value = line.partition("=")
            if key in said[-1]:  # each unit's lines begin anew
                said.append({})
            if key in ASKED:
                said[-1][key] = value
        # By their order: an alias has another unit's Id.
        return {name: _unit(one, reads, changed) for (name, reads), one in zip(self._reads.items(), said, strict=False)}


def _unit(said: Mapping[str, str], reads: Sequence[str], changed: Mapping[str, int]) -> Unit:
    started = said.get("ActiveEnterTimestamp")
    since = (datetime.strptime(started, MOMENT) - EPOCH) // MICROSECOND * 1000 if started else 0
    return Unit(
        active=said.get("ActiveState") in RUNS,
        enabled=said.get("UnitFileState") in STARTS,
        stale=tuple(file for file in reads if started and changed.get(file, 0) > since),
        unread=said.get("NeedDaemonReload") == "yes",
    )
