"""Fresh values planted for every secret, then looked for wherever they have no business to be."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage

from rehearsal.trust import SECRETS
from tests import support

# Where a host keeps what outlives a process: containers' settings and logs, layers of images, volumes, journal, state.
PLACES = "/etc /home /root /run /srv /tmp /var/lib/changeover /var/lib/docker /var/log /var/tmp"
# Patterns come on standard input: in a command line they would be what is looked for.
SEARCH = f"grep -rlF -D skip --exclude-dir=merged -f - {PLACES} 2>/dev/null"
DIGITS = 24
EVERY = 0.1  # seconds between two looks at all command lines


class Canaries:
    """Values for all secrets of the rehearsal, from the three sources: an age file, a command, the environment.

    Argument: a folder for what they come from.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.all: set[str] = set()
        self.plant()

    def plant(self) -> None:
        """New values; the ones before are looked for as well."""
        self.folder.mkdir(exist_ok=True)
        self.values = {name: f"canary/{secrets.token_hex(DIGITS // 2)}+'@" for name in SECRETS}
        self.all |= set(self.values.values())
        key = pyrage.x25519.Identity.generate()
        identity = self.folder / "identity"
        identity.write_text(f"{key}\n")
        identity.chmod(0o600)
        lines = f"TASKTRACKER_DB_PASSWORD={self.values['TASKTRACKER_DB_PASSWORD']}\n"
        (self.folder / "secrets.age").write_bytes(pyrage.encrypt(lines.encode(), [key.to_public()]))
        (self.folder / "ADMIN_TOKEN").write_text(self.values["ADMIN_TOKEN"])

    def settings(self) -> dict[str, Any]:
        """Overrides that say where the secrets come from."""
        return {
            "fleet.secrets_file": str(self.folder / "secrets.age"),
            "fleet.secrets_command": ["cat", f"{self.folder}/{{name}}"],
        }

    def environment(self) -> dict[str, str]:
        """What the environment adds to these settings."""
        return {
            "CHANGEOVER_AGE_IDENTITY": str(self.folder / "identity"),
            "POSTGRES_PASSWORD": self.values["POSTGRES_PASSWORD"],
        }

    def forms(self) -> list[str]:
        """The digits in each value, which no quoting changes, and as base64 holds them, wherever they begin in it."""
        digits = [value.partition("/")[2][:DIGITS].encode() for value in self.all]
        shifted = [b64encode(b"x" * shift + one)[4:-4] for one in digits for shift in range(3)]
        return [form.decode() for form in [*digits, *shifted]]

    def within(self, text: str) -> list[str]:
        """Names of the secrets that a text holds."""
        return [form[:8] for form in self.forms() if form in text]

    def on_host(self, host: str) -> list[str]:
        """Files of a host that hold one, the journal's text included."""
        words = ["ssh", "-F", str(support.ROOT / ".rehearsal" / "ssh_config"), host]
        patterns = "\n".join(self.forms()) + "\n"
        done = subprocess.run(
            [*words, f"sudo sh -c '{SEARCH}'"], input=patterns, capture_output=True, text=True, timeout=300
        )
        assert done.returncode in (0, 1, 2), done
        journal = support.ssh(host, "journalctl --no-pager -o cat -n 50000")
        return done.stdout.splitlines() + (["journalctl"] if self.within(journal) else [])

    def here(self, since: float) -> list[str]:
        """Files on this machine, written since then, that hold one: reports, temporary files, pyinfra's own log."""
        found = []
        for folder in (support.ROOT / "reports", Path("/tmp"), support.ROOT / "pyinfra-debug.log"):
            words = ["find", str(folder), "-xdev", "-type", "f", "-newermt", f"@{since}", "-size", "-20M", "-print0"]
            listed = subprocess.run(words, capture_output=True, timeout=120).stdout.split(b"\0")
            for path in (Path(name.decode()) for name in listed if name):
                with contextlib.suppress(OSError):
                    if self.folder not in path.parents and self.within(path.read_text(errors="replace")):
                        found.append(str(path))
        return found


@dataclass
class Lines:
    """The command lines of all processes, seen again and again; a rehearsal's hosts are containers of this machine.

    `variables`: of the processes on its hosts, containers' included; not of this machine: its environment is a source.
    """

    seen: set[str] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)


def variables(process: Path) -> set[str]:
    """NAME=value of a process of a rehearsal's host. Argument: its folder in /proc. Raises OSError when it is gone.

    Left out: what the postgres image's own entrypoint reads its file into while it makes the data.
    """
    depth = (process / "cgroup").read_text().count("/docker/")  # 1: a host, 2: a container on it
    found = (process / "environ").read_bytes().decode(errors="replace").split("\0") if depth else []
    return {one for one in found if one and not (depth > 1 and one.startswith("POSTGRES_PASSWORD="))}


@contextlib.contextmanager
def command_lines() -> Iterator[Lines]:
    """Looks at all command lines while the block runs, and once at the variables of each process."""
    lines, stop = Lines(), threading.Event()
    looked: set[tuple[Path, bytes]] = set()

    def look() -> None:
        while not stop.wait(EVERY):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    line = file.read_bytes()
                    lines.seen.add(line.replace(b"\0", b" ").decode(errors="replace"))
                    if (file, line) not in looked:  # a process that is another program now is looked at again
                        looked.add((file, line))
                        lines.variables |= variables(file.parent)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        stop.set()
        thread.join(10)
