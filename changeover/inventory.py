"""An inventory file and its group_data, read without pyinfra: for commands that touch no host."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from changeover import fleet
from changeover.plan import Plan

GROUP_DATA = Path("group_data")


class InventoryError(Exception):
    """A file that cannot be read: which, why, what to do. One line."""


def plan(inventory: Path, folder: Path = GROUP_DATA) -> Plan:
    """The checked plan of an inventory file. Raises InventoryError, SettingsError."""
    groups = {name: value for name, value in _names(inventory).items() if isinstance(value, list)}
    places: dict[str, list[str]] = {}
    own: dict[str, dict[str, Any]] = {}
    for group, members in groups.items():
        for member in members:
            name, data = member if isinstance(member, tuple) else (member, {})
            places.setdefault(name, []).append(group)
            own.setdefault(name, {}).update(data)
    files = sorted(file.stem for file in folder.glob("*.py") if file.stem != "all")
    read = {name: _names(folder / f"{name}.py") for name in [*files, "all"] if (folder / f"{name}.py").exists()}
    hosts = []
    for name, members in places.items():
        merged: dict[str, Any] = dict(read.get("all", {}))
        for group in (*members, inventory.stem):
            merged |= read.get(group, {})
        hosts.append((name, [*members, inventory.stem], merged | own[name]))
    return fleet.load(hosts, str(folder), files)


def _names(file: Path) -> dict[str, Any]:
    """What a file of Python defines, without its own helpers."""
    try:
        found = runpy.run_path(str(file))
    except Exception as error:  # it is the team's own program: whatever it raises is one line here
        raise InventoryError(f"{file} cannot be read: {error or type(error).__name__}; is it the right one?") from None
    return {name: value for name, value in found.items() if not name.startswith("_") and not callable(value)}
