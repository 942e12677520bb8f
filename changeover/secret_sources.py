"""Where a secret's value is read from: a file of NAME=value lines, plain or encrypted with age, or a command's output.

What goes wrong is a SourceError of one line: what, where, why, what to do. No value and no command's output is in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyrage

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENCRYPTED = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")  # how age's two forms begin
IDENTITY = "CHANGEOVER_AGE_IDENTITY"  # the variable that names the identity's file


class SourceError(ValueError):
    """A source that cannot be read: one line for a person."""


class TookTooLong(SourceError):
    """A command that did not answer in time; it is not asked again for anything else."""


def private(file: Path) -> None:
    """Raises SourceError when others can read a file; one that is not there is no problem."""
    try:
        mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0
    except OSError as error:
        raise SourceError(f"{file}  cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise SourceError(f"{file}  is readable by others (mode {mode:04o}); run: chmod 600 {file}")


def read(file: Path, identity: Path | None) -> dict[str, str]:
    """The values in a secrets file; empty when there is none.

    Arguments: the file; the file of the age identity for one that is encrypted. Raises SourceError.
    """
    try:
        raw = file.read_bytes() if file.exists() else b""
    except OSError as error:
        raise SourceError(f"{file}  cannot be read: {error.strerror}") from None
    if raw.startswith(ENCRYPTED):
        raw = decrypt(file, raw, identity)
    try:
        return read_env(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SourceError(f"{file}  is no UTF-8 text") from None
    except ValueError as error:
        raise SourceError(f"{file}  {error}") from None


def is_encrypted(file: Path) -> bool:
    """Whether a file is one of age's; one that is not there, or cannot be read, is not."""
    with contextlib.suppress(OSError), file.open("rb") as text:
        return text.read(64).startswith(ENCRYPTED)
    return False


def decrypt(file: Path, raw: bytes, identity: Path | None) -> bytes:
    """What an age file holds. Arguments: its path, for messages; its content; the identity's file. SourceError."""
    if identity is None:
        raise SourceError(
            f"{file}  is encrypted with age, and no identity is named; "
            f"set fleet.secrets_identity, or {IDENTITY}=FILE in the environment"
        )
    try:
        private(identity)
        key = identity.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SourceError(f"{identity}  cannot be read: {why}; it is the age identity that opens {file}") from None
    try:
        return pyrage.decrypt(raw, _identities(key))
    except pyrage.IdentityError:
        wanted = "a line AGE-SECRET-KEY-1..., or an SSH key without a passphrase"
        raise SourceError(f"{identity}  is no age identity: it must hold {wanted}") from None
    except pyrage.DecryptError:
        mend = f"encrypt it for this identity too (age-keygen -y {identity})"
        raise SourceError(f"{file}  is damaged, or not encrypted for the identity in {identity}; {mend}") from None


def _identities(text: str) -> list[pyrage.x25519.Identity | pyrage.ssh.Identity]:
    if text.lstrip().startswith("-----BEGIN"):
        return [pyrage.ssh.Identity.from_buffer(text.encode())]
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    return [pyrage.x25519.Identity.from_str(key) for key in keys or [""]]


def read_env(text: str) -> dict[str, str]:
    """NAME=value lines; blank lines and # comments are skipped, one pair of quotes around a value is taken off.

    Raises ValueError with the number of a line (never its text) that is none of these.
    """
    values = {}
    for number, line in enumerate(text.split("\n"), 1):
        name, found, value = line.strip().partition("=")
        name = name.removeprefix("export ").strip()
        if not line.strip() or name.startswith("#"):
            continue
        if not found or not NAME.fullmatch(name):
            raise ValueError(f"line {number} is no NAME=value")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        values[name] = value
    return values


def ask(words: Sequence[str], limit: float) -> str:
    """What a command prints, without the line break at its end.

    What it says on its standard error is thrown away, as that may hold the value too.
    Arguments: program and words; seconds. Raises SourceError with the command, never its output.
    """
    said = shlex.join(words)
    try:
        code, raw = _output(words, limit)
    except OSError as error:
        raise SourceError(f"{said} cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise TookTooLong(f"{said} took over {limit:g} s (fleet.secrets_timeout)") from None
    if code:
        raise SourceError(f"{said} ended with exit code {code}; run it by hand to see why")
    try:
        value = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        value = "\0"
    if not value or "\0" in value:
        raise SourceError(f"{said} printed {'no UTF-8 text' if value else 'nothing'}")
    return value


def _output(words: Sequence[str], limit: float) -> tuple[int, bytes]:
    """Exit code and output of a program in a process group of its own, of which nothing is left afterwards."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(list(words), start_new_session=True, **pipes)  # type: ignore[call-overload]
    try:
        output, _ = process.communicate(timeout=limit)
        return process.returncode, output
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
