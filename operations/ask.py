"""Asking a host something in the middle of a run, without it counting as a change."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gevent.pool import Pool
from paramiko import SSHException
from pyinfra.api import StringCommand
from pyinfra.context import ctx_config, ctx_host, ctx_state


def shell(host: Any, words: Sequence[str], limit: int) -> tuple[bool, list[str]]:
    """Runs a command on a host as root; whether it ended well, and what it printed.

    Arguments: the host; the words; seconds until it must have ended. A host that does not answer has not done it.
    """
    # Heartbeats and the release run in greenlets of their own, where pyinfra's context is not set.
    with ctx_state.use(host.state), ctx_config.use(host.state.config), ctx_host.use(host):
        try:
            done, output = host.run_shell_command(StringCommand(shlex.join(words)), _sudo=True, _timeout=limit)
        except (TimeoutError, OSError, SSHException) as error:
            return False, [f"{host.name} does not answer: {error or f'within {limit} s'}"]
    return done, [*output.stdout_lines, *output.stderr_lines]


def at_once(hosts: Mapping[str, Any], ask: Callable[[Any], Any]) -> dict[str, Any]:
    """{name: the answer} of many hosts, all asked at the same time. Arguments: hosts by name; what to ask of one."""
    state, config = ctx_state.get(), ctx_config.get()

    def one(host: Any) -> Any:
        with ctx_state.use(state), ctx_config.use(config), ctx_host.use(host):
            return ask(host)

    return dict(zip(hosts, Pool(len(hosts) or 1).map(one, hosts.values()), strict=True))


def spoken(lines: Sequence[str]) -> dict[str, Any] | None:
    """The answer of the host command to `--json`; None where there is none among the lines."""
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None
