"""One deploy at a time per system: the host command holds the lock on the coordinator while this run lives."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gevent
from pyinfra import host, inventory
from pyinfra.api import FunctionCommand, deploy, operation
from pyinfra.api.state import StateStage

from changeover.live import Live, parse
from facts.host import SystemState
from operations import flow
from operations.ask import shell
from operations.host_command import BINARY

TTL = 60  # seconds without a heartbeat after which another run may take it
BEAT = 20  # seconds between heartbeats
HOLDER = re.compile(r"\(pid (?P<pid>\d+) on (?P<machine>[^)\s]+)\)")
LIMIT = 60  # seconds for one answer of the host command


def ask(host: Any, *words: str, limit: int = LIMIT) -> tuple[bool, list[str]]:
    """Asks the host command without it counting as a change; whether it did, and what it said.

    Arguments: the host; verb, system and options; seconds until it must have answered. A host that does not answer has
    not done it.
    """
    return shell(host, [BINARY, *words], limit)


@deploy("lock")
def alone(system: str, owner: str, reason: str) -> None:
    """No other deploy of the system is at work. Arguments as in held."""
    held(name=f"{system}: no other deploy is at work", system=system, owner=owner, reason=signed(reason))


@deploy("lock")
def begins(system: str, generation: int) -> None:
    """Nothing moves the traffic but this run. Arguments as in settled."""
    settled(name=f"{system}: no switch waits to go back", system=system, generation=generation)


@operation()
def held(system: str, owner: str, reason: str) -> Generator[FunctionCommand]:
    """
    This run holds the system's lock until it ends, however it ends; a run that is killed lets it expire.

    + system: its name
    + owner: this run's id
    + reason: for whoever meets the lock
    """
    if host.state.current_stage < StateStage.Execute:
        host.noop("it is taken when the run begins")
        return
    here = inventory.get_host(host.name)  # the host itself: `host` is whichever is being worked on
    words = ("lock", system, "acquire", "--owner", owner, "--reason", reason, "--ttl", f"{TTL}s")
    done, said = ask(here, *words)
    if not done and left_behind(" ".join(said)):
        ask(here, "lock", system, "break", "--why", "the run that held it is gone from its control machine")
        done, said = ask(here, *words)
    if not done:
        yield flow.failure(said)
        return
    _keep(here, system, owner)
    host.noop("this run holds it")


@operation()
def settled(system: str, generation: int) -> Generator[FunctionCommand]:
    """
    No switch of a run that is gone waits to go back: it would do so under this one's feet, or after it said `done`.

    + system: its name
    + generation: that was live when this run looked first
    """
    if host.state.current_stage < StateStage.Execute:
        host.noop("it is asked when the lock is ours")
        return
    problems = unsettled(system, generation, parse(host.get_fact(SystemState, system=system)), host.name)
    yield from flow.require._inner(problems=problems, fact="none does")


def unsettled(system: str, generation: int, now: Live, coordinator: str) -> list[str]:
    """Why this run cannot go on now. Arguments as in settled; the state as it is; the coordinator's name. Pure."""
    if now.lease:
        return [
            f"{system}: the switch to {half_way(now)} by {now.lease.txn} is not confirmed yet, and no run holds "
            f"its lock: it goes back by itself in {now.lease.seconds:.0f} s at most; then run this again",
            f"or go back now, on {coordinator}: sudo changeover rollback {system}",
        ]
    if now.generation != generation:
        return [f"{system}: its traffic moved while this run began ({now.release.live} is live now); run this again"]
    return []


def half_way(now: Live) -> str | None:
    """The release that an unconfirmed switch brings."""
    return now.release.candidate if now.opened or now.rolled or now.weight else now.release.live


def signed(reason: str) -> str:
    """A reason that also says which process holds the lock, so that its own machine can tell when it is gone."""
    return f"{reason} (pid {os.getpid()} on {socket.gethostname()})"


def left_behind(refusal: str) -> bool:
    """Whether the lock that a refusal speaks of was held by a process of this machine that does not live any more."""
    found = HOLDER.search(refusal)
    if not found or found["machine"] != socket.gethostname():
        return False
    return not Path(f"/proc/{found['pid']}").exists() if Path("/proc/self").exists() else False


def _keep(host: Any, system: str, owner: str) -> None:
    """Heartbeats beside the run, and gives the lock back before the connection is closed."""

    def beat() -> None:
        while True:
            gevent.sleep(BEAT)
            ask(host, "lock", system, "renew", "--owner", owner, "--ttl", f"{TTL}s")

    heart = gevent.spawn(beat)
    disconnect = host.connector.disconnect

    def release() -> None:
        heart.kill()
        try:
            ask(host, "lock", system, "release", "--owner", owner)
        finally:
            disconnect()

    host.connector.disconnect = release
