"""Whether hosts can still be reached under new rules: by each other, and by a connection that is opened now."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from typing import Any

from paramiko import SSHException
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, operation
from pyinfra.api.exceptions import ConnectError

from facts.secure import GUARD, GuardWaits
from operations import flow
from operations.ask import shell

LIMIT = 30  # seconds for one answer
CHANGED: set[str] = set()  # hosts whose rules this run has changed
# One line for each address and port that nothing comes back from; refused is an answer, and so not the firewall.
REACH = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
def ask(way):
    try:
        socket.create_connection(way.split(":"), 4).close()
    except TimeoutError:
        return way
    except OSError:
        return None
print(*filter(None, ThreadPoolExecutor(64).map(ask, sys.argv[1:])), sep="\\n")
"""


@operation()
def reached(ways: Sequence[tuple[str, str, int]], within: str) -> Generator[FunctionCommand]:
    """
    Under the new rules each host gets through to what it needs of the others.

    + ways: (name of the other host, its address, port)
    + within: time until the hosts go back
    """
    mine = host.name in CHANGED  # it may be new: do the others know it?
    asked = {f"{address}:{port}": name for name, address, port in ways if mine or name in CHANGED}
    if not asked:
        host.noop("no rules have changed")
        return

    def go(state: Any, host: Any) -> bool:
        done, said = shell(host, ["python3", "-c", REACH, *asked], LIMIT)
        here = {one.name for one in state.activated_hosts if state.is_host_in_limit(one)}
        lost = [line for line in said if line] if done else list(asked)
        for name in dict.fromkeys(asked[way] for way in lost if done and asked[way] not in here):
            # Its rules are as they were, and nothing of this run mends or undoes them.
            flow.note(f"{name}'s firewall does not know {host.name} yet: run without --limit (or is {name} down?)")
        lost = [way for way in lost if not done or asked[way] in here]
        lines = [
            f"{host.name}: nothing comes back from {asked[way]} ({way}) under the new rules" for way in lost
        ]
        remedy = (
            f"every host goes back to its old rules by itself, within {within}; do hosts come from the addresses "
            "of the inventory? If not, name theirs in fleet.firewall.open; then run it again"
        )
        return not lost or flow.fail_here(host, [*lines, remedy])

    yield FunctionCommand(go, (), {})


@operation()
def confirmed(token: str, within: str) -> Generator[FunctionCommand]:
    """
    A connection that is opened now keeps what was loaded; when none comes through, the host goes back.

    + token: of this run
    + within: time until the host goes back
    """
    waits = host.get_fact(GuardWaits)
    if not waits:
        host.noop("nothing waits for it")
        return
    what = " and ".join(waits)

    def go(state: Any, host: Any) -> bool:
        wrong = afresh(host, [GUARD, "confirm", token])
        if wrong is None:
            return True
        back, _ = shell(host, [GUARD, "revert"], LIMIT)
        return flow.fail_here(
            host,
            [
                f"{host.name}: under the new {what} no fresh SSH connection came through: {wrong}",
                f"{what} went back to what was there"
                if back
                else f"{what} goes back to what was there by itself, within {within}",
                "look at fleet.firewall and fleet.sshd in group_data, then run it again",
            ],
        )

    yield FunctionCommand(go, (), {})


def afresh(host: Any, words: Sequence[str]) -> str | None:
    """Runs a command over a new connection; what went wrong, or None. A host without SSH is asked as it is."""
    if getattr(host.connector, "client", None) is None:
        done, said = shell(host, words, LIMIT)
        return None if done else " ".join(said)
    connector = type(host.connector)(host.state, host)
    logging.getLogger("paramiko.transport").setLevel(logging.CRITICAL)  # a trace of what is expected here helps nobody
    try:
        connector.connect()
        command = StringCommand(" ".join(words))
        done, output = connector.run_shell_command(command, _sudo=True, _timeout=LIMIT)
    except (ConnectError, SSHException, OSError, EOFError, TimeoutError) as error:
        return str(error) or type(error).__name__
    finally:
        if connector.client:
            connector.client.close()
    return None if done else " ".join([*output.stdout_lines, *output.stderr_lines])
