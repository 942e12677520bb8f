"""Records each operation that a deploy calls on a host. To be imported before any module that uses them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyinfra import host
from pyinfra.operations import apt

from operations import compose, files, units, users

FOLDER = Path(".cache/bench/wanted")
SEEN: dict[str, list[dict[str, Any]]] = {}  # host -> calls in order
MODULES = {"tree": files, "packages": apt, "login": users, "ready": units, "up": compose}
OPERATIONS: dict[str, Callable] = {name: getattr(module, name) for name, module in MODULES.items()}


def _recording(name: str, operation: Callable) -> Callable:
    def call(**arguments: Any) -> Any:
        seen = dict(arguments)
        if name == "tree":
            wanted = arguments["files"]
            arguments["files"] = list(wanted() if callable(wanted) else wanted)  # it asks the host: once is enough
            seen["files"] = [{**asdict(e), "content": b64encode(e.raw()).decode()} for e in arguments["files"]]
            seen["directories"] = [asdict(entry) for entry in arguments.get("directories", ())]
        SEEN.setdefault(host.name, []).append({"operation": name, "arguments": seen})
        return operation(**arguments)

    return call


def replay(operation: str, arguments: dict[str, Any]) -> None:
    """Calls an operation as it was recorded."""
    if operation == "tree":
        found = [files.File(**{**entry, "content": b64decode(entry["content"])}) for entry in arguments["files"]]
        folders = [files.Directory(**entry) for entry in arguments["directories"]]
        arguments = {**arguments, "files": found, "directories": folders}
    OPERATIONS[operation](**arguments)


for _name, _module in MODULES.items():
    _spy: Any = _recording(_name, OPERATIONS[_name])
    _spy._inner = _recording(_name, OPERATIONS[_name]._inner)  # type: ignore[attr-defined]  # called inside others
    setattr(_module, _name, _spy)
