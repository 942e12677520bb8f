"""The accounts that Changeover needs on a host."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.operations import server

from facts.users import AccountOf


@operation()
def login(
    user: str, shell: str, home: str = "", groups: Sequence[str] = (), keys: Sequence[str] = (), system: bool = False
) -> Generator[StringCommand]:
    """
    A user is there; made and mended by pyinfra's server.user, which is only asked when something is not as it shall be.

    + user: its name
    + shell: its login shell
    + home: folder that somebody else makes, and owns; default: /home/USER, which is made and the user's own
    + groups: that it is in, beside others
    + keys: public SSH keys that may log in, beside others
    + system: of the system, where it has to be made
    """
    found = host.get_fact(AccountOf, user=user)
    if (
        found
        and found.shell == shell
        and (found.folder == home if home else found.home)
        and {*groups} <= found.groups
        and {*keys} <= found.keys
    ):
        host.noop(f"user {user} is there")
        return
    yield from server.user._inner(
        user=user,
        shell=shell,
        home=home or None,
        groups=list(groups),
        append=True,
        public_keys=list(keys) or None,
        ensure_home=not home,
        system=system,
    )
