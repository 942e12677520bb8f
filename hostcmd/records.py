"""Files of one JSON record a line, each with its own digest: the journal and the audit.

A crash can tear the last line only: that one is ignored, and cut off by the next append. A damaged line with
sound ones behind it is no crash: that needs a person.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from hostcmd import durable
from hostcmd.stop import PERSON, Stop

Record = dict[str, Any]
TAIL = 1 << 18  # bytes read from the end where only the last line is wanted; the longest line is far shorter


def digest(body: Record) -> str:
    """SHA-256 of a record, its own digest left out."""
    plain = {key: value for key, value in body.items() if key != "check"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def unseal(line: bytes) -> Record | None:
    """The record of a line; None when the line is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("check") == digest(record) else None


def _sound(data: bytes, path: str, whole: bool) -> tuple[list[Record], int]:
    """The sound records, and how many bytes they take. With `whole` unset, the first line may be cut."""
    found: list[Record] = []
    good = position = 0
    bad = None
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        position += len(line)
        record = unseal(line) if line.endswith(b"\n") else None
        if record is None:
            if number > 1 or whole:
                bad = bad or number
            continue
        if bad:
            fact = f"{path} line {bad} is damaged, and there are sound lines behind it"
            system = os.path.basename(os.path.dirname(path))
            raise Stop(
                PERSON, fact, f"changeover recover {system}   (keeps the file aside, acts by state.json)"
            )
        found.append(record)
        good = position
    return found, good


def read(path: str) -> list[Record]:
    """All records. Raises Stop (6) for damage that no crash explains, OSError."""
    try:
        with open(path, "rb") as file:
            return _sound(file.read(), path, whole=True)[0]
    except FileNotFoundError:
        return []


def _end(handle: int, path: str) -> tuple[Record | None, int, int]:
    """The last sound record, the offset behind it, and the file's size."""
    size = os.fstat(handle).st_size
    start = max(0, size - TAIL)
    found, good = _sound(os.pread(handle, size - start, start), path, whole=start == 0)
    return (found[-1] if found else None), start + good, size


def last(path: str) -> Record | None:
    """The last sound record. Raises as read()."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _end(handle, path)[0]
    finally:
        os.close(handle)


def append(path: str, body: Record, chained: bool = False) -> Record:
    """Adds a record, durably; answers it sealed.

    Arguments: the file; the record; whether it holds the digest of the one before (`prev`). Raises as read().
    """
    fresh = not os.path.exists(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        previous, good, size = _end(handle, path)
        if good < size:
            os.ftruncate(handle, good)
        record = {**body, "prev": previous["check"] if previous else ""} if chained else dict(body)
        record["check"] = digest(record)
        durable.write_all(handle, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    if fresh:
        durable.sync_folder(os.path.dirname(path))
    return record


def keep_last(path: str, most: int, keep: int) -> None:
    """Shortens a file of more than `most` bytes to its last `keep` records."""
    if os.stat(path).st_size > most:
        lines = [json.dumps(record, separators=(",", ":")) for record in read(path)[-keep:]]
        durable.write(path, "".join(f"{line}\n" for line in lines))
