"""What a host is: its operating system, memory, disk, and the state of the systems on it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase

STATE_DIR = "/var/lib/changeover"


@dataclass(frozen=True)
class Machine:
    """`os` is ID and VERSION_ID of /etc/os-release; memory and free disk (of /) in MiB; addresses without masks."""

    os: str
    version: str
    memory: int
    disk: int
    cpus: int
    addresses: tuple[str, ...]
    container: bool
    python: bool


class MachineFacts(FactBase[Machine | None]):
    """One look at what preflight asks about; None when the host does not answer in the shape expected."""

    def command(self) -> str:
        return (
            '. /etc/os-release; echo "os $ID"; echo "version $VERSION_ID";'
            " awk '/MemTotal/ {print \"memory\", int($2/1024)}' /proc/meminfo;"
            " df -Pm / | awk 'NR==2 {print \"disk\", $4}'; echo cpus $(nproc);"
            " echo addresses $(hostname -I);"
            " echo container $(systemd-detect-virt -cq && echo 1 || echo 0);"
            " echo python $(command -v python3 >/dev/null && echo 1 || echo 0); true"
        )

    def process(self, output: list[str]) -> Machine | None:
        found = dict(line.partition(" ")[::2] for line in output)
        try:
            return Machine(
                os=found["os"],
                version=found["version"],
                memory=int(found["memory"]),
                disk=int(found["disk"]),
                cpus=int(found["cpus"]),
                addresses=tuple(found["addresses"].split()),
                container=found["container"] == "1",
                python=found["python"] == "1",
            )
        except (KeyError, ValueError):
            return None


class SystemState(FactBase[str]):
    """The text of a system's state.json on a host; no text when there is no file."""

    def command(self, system: str) -> str:
        """Never fails; a file that is there and cannot be read is not taken for a system that is not."""
        file = shlex.quote(state_path(system))
        return f"[ ! -e {file} ] || {{ [ -s {file} ] && cat {file}; }} || echo empty or unreadable"

    @staticmethod
    def default() -> str:
        return ""


def state_path(system: str) -> str:
    """Where a host keeps what is live (CONTRACTS.md)."""
    return f"{STATE_DIR}/{system}/state.json"


class Link(FactBase[str]):
    """What a symlink points to; empty when it is none."""

    def command(self, path: str) -> str:
        return f"readlink {shlex.quote(path)} 2>/dev/null || true"

    @staticmethod
    def default() -> str:
        return ""


class Names(FactBase[list[str]]):
    """Names of what is in a folder; none when there is no such folder."""

    def command(self, path: str) -> str:
        return f"ls {shlex.quote(path)}/ 2>/dev/null || true"

    @staticmethod
    def default() -> list[str]:
        return []

    def process(self, output: list[str]) -> list[str]:
        return output


class AptKnows(FactBase[bool]):
    """Whether apt's lists hold a package."""

    def requires_command(self, package: str) -> str:
        return "apt-cache"

    def command(self, package: str) -> str:
        return f"apt-cache show {shlex.quote(package)} >/dev/null 2>&1 && echo yes; true"

    @staticmethod
    def default() -> bool:
        return False

    def process(self, output: list[str]) -> bool:
        return "yes" in output
