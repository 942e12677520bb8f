"""A tree of files in one operation: one question, one upload, all checked before any is in place, each renamed."""

from __future__ import annotations

import json
import shlex
from base64 import b64encode
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from pyinfra import host
from pyinfra.api import HiddenValue, StringCommand, operation

from changeover.files import Directory, File
from facts.files import FileStates, State, differs

ON_HOST = Path(__file__).parent / "on_host"


@cache
def _script(name: str) -> str:
    return (ON_HOST / f"{name}.py").read_text()


def python(script: str, payload: str) -> StringCommand:
    """Runs a script of on_host/ with the host's Python; the payload goes through stdin: in no log and no argv."""
    return StringCommand("python3", "-c", HiddenScript(script), _stdin=payload)


class HiddenScript(HiddenValue):
    """A script's text, quoted for the shell; logs show its name."""

    def __init__(self, script: str):
        super().__init__(shlex.quote(_script(script)))


@operation()
def tree(
    files: Sequence[File] | Callable[[], Sequence[File]],
    directories: Sequence[Directory] = (),
    check_root: str | None = None,
    check_command: Sequence[str] = (),
) -> Generator[StringCommand]:
    """
    Puts files and folders on the host; what is as it should be is not sent.

    + files: what must lie there, or a function that gives it when the operation runs
    + directories: folders, made in this order before the files
    + check_root: folder of a daemon's configuration, copied with the new files for the check
    + check_command: the daemon's own checker; `{}` is the copy. When it fails nothing is changed
    """
    wanted = list(files() if callable(files) else files)
    found = host.get_fact(FileStates, paths=[*(d.path for d in directories), *(f.path for f in wanted)])
    new_directories = [d for d in directories if _changed(d, "", found)]
    new_files = [f for f in wanted if _changed(f, f.digest(), found)]
    if not new_files and not new_directories:
        host.noop(f"{len(wanted)} files are as they should be")
        return
    check = {"root": check_root, "command": list(check_command)} if check_root and new_files else None
    payload = {
        "directories": [asdict(d) for d in new_directories],
        "files": [{**asdict(f), "content": b64encode(f.raw()).decode()} for f in new_files],
        "check": check,
    }
    yield python("install_files", json.dumps(payload))


def _changed(entry: File | Directory, digest: str, found: dict[str, State]) -> bool:
    state = found.get(entry.path)
    return (
        state is None
        or state.digest != digest
        or state.mode != entry.mode
        or differs(entry.owner, state.owner)
        or differs(entry.group, state.group)
    )
