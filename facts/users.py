"""One account of a host; pyinfra's own fact asks for all of them, with five programs each, which takes it a second."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Account:
    """`home` is there and the user's own; `keys` may log in, and only the user may write them."""

    shell: str
    folder: str
    groups: frozenset[str]
    home: bool
    keys: frozenset[str]


class AccountOf(FactBase[Account | None]):
    """A user; None where there is none of that name."""

    def command(self, user: str) -> str:
        """Never fails. Keys count where folder and file are the user's own, of mode 700 and 600."""
        name = shlex.quote(user)
        return (
            f'u={name}; w=$(getent passwd "$u") || exit 0; echo "passwd $w"; echo "groups $(id -nG "$u")";'
            ' h=$(echo "$w" | cut -d: -f6);'
            ' own() { [ "$(stat -L -c "%U %a" "$1" 2>/dev/null)" = "$u $2" ]; };'
            ' [ "$(stat -L -c %U "$h" 2>/dev/null)" = "$u" ] && echo home;'
            ' own "$h/.ssh" 700 && own "$h/.ssh/authorized_keys" 600 && sed "s/^/key /" "$h/.ssh/authorized_keys"; true'
        )

    @staticmethod
    def default() -> Account | None:
        return None

    def process(self, output: list[str]) -> Account | None:
        said = dict(line.partition(" ")[::2] for line in output if line.startswith(("passwd ", "groups ")))
        if "passwd" not in said:
            return None
        return Account(
            shell=said["passwd"].split(":")[6],
            folder=said["passwd"].split(":")[5],
            groups=frozenset(said.get("groups", "").split()),
            home="home" in output,
            keys=frozenset(line.removeprefix("key ") for line in output if line.startswith("key ")),
        )
