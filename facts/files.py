"""What lies at many paths, asked in one command."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, QuoteString, StringCommand


@dataclass(frozen=True)
class State:
    """A path on a host. `digest` is the SHA-256 of a file's content, empty for a folder."""

    digest: str
    mode: str
    owner: str
    group: str


class FileStates(FactBase[dict[str, State]]):
    """{path: State} for those of `paths` that exist. Owner and group are names where the host knows them."""

    def command(self, paths: list[str]) -> StringCommand:
        """One loop in the host's shell; never fails, absent paths are left out.

        A link to a folder is as good as the folder; a link to a file is not the file, and shows its own mode.
        """
        look = (
            'do l=; if [ -f "$f" ]; then d=$(sha256sum < "$f" | cut -c1-64);'
            ' elif [ -d "$f" ]; then d=-; l=-L; else continue; fi;'
            ' printf "%s %s\\n" "$d" "$(stat $l -c "%a %U:%u %G:%g %n" "$f")"; done; true'
        )
        return StringCommand("for f in", *[QuoteString(path) for path in paths], ";", look)

    @staticmethod
    def default() -> dict[str, State]:
        return {}

    def process(self, output: list[str]) -> dict[str, State]:
        states = {}
        for line in output:
            parts = line.split(" ", 4)
            if len(parts) == 5:  # fewer: it went while we looked
                digest, mode, owner, group, path = parts
                states[path] = State(digest.removeprefix("-"), mode, owner, group)
        return states


def differs(wanted: str, found: str) -> bool:
    """Whether an owner or group (name or number as text) is another than the `name:number` found."""
    return wanted not in found.split(":")
