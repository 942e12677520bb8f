"""Files that survive a crash: written beside, synced, renamed, and the folder synced too."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

ROOM = 1 << 18  # bytes: far more than a way back writes


def sync_folder(path: str) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: str) -> None:
    """The folder exists, durably."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_folder(parent)
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return
    sync_folder(parent)


def write_all(handle: int, data: bytes) -> None:
    """os.write until all is written: a signal or a full disk may cut it short."""
    while data:
        data = data[os.write(handle, data) :]


def write(path: str, text: str) -> None:
    """A reader finds the old text or the new one, never a part. Raises OSError."""
    new = f"{path}.new"
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    try:
        write_all(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(new, path)
    sync_folder(os.path.dirname(path))


@contextlib.contextmanager
def room(path: str) -> Iterator[None]:
    """On a full disk, what is in the block is written in the room of this file, which is there for nothing else."""
    remove(path)
    try:
        yield
    finally:
        keep_room(path)


def keep_room(path: str) -> None:
    """The file that `room` gives up is there. A disk that is full already has none; that is no error."""
    if os.path.exists(path):
        return
    try:
        write(path, os.urandom(ROOM // 2).hex())  # not zeros: some filesystems keep none of them
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(f"{path}.new")


def read(path: str) -> str | None:
    """The file's text, None when there is none. Raises OSError, and ValueError for bytes that are no text."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def remove(path: str) -> None:
    """The file is gone, durably."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_folder(os.path.dirname(path))
