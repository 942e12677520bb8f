"""What is known about this checkout's rehearsal: its lock, its owner's mark and status.json."""

import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import paths, plan, registry
from .errors import RehearsalError
from .plan import Host
from .progress import Progress

LOCK_LIMIT = 600.0
SUBNET_VARIABLE = "CHANGEOVER_REHEARSAL_SUBNET"


def subnet() -> str:
    """The hosts' subnet; raises RehearsalError when the environment names one that does not do."""
    wanted = os.environ.get(SUBNET_VARIABLE, plan.SUBNET)
    try:
        plan.address(plan.HOSTS[0], wanted)
    except ValueError as error:
        raise RehearsalError(f"{SUBNET_VARIABLE}={wanted}", str(error), f"unset {SUBNET_VARIABLE}") from error
    return wanted


@contextlib.contextmanager
def lock(progress: Progress, limit: float = LOCK_LIMIT) -> Iterator[None]:
    """One rehearsal command at a time on this machine (host names and ports are the machine's); waits `limit` seconds.

    Raises RehearsalError when another still holds it then. The kernel frees it when its holder dies.
    """
    file = paths.make_private(paths.cache()) / "lock"
    with file.open("a+") as held:
        end, told = time.monotonic() + limit, False
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                held.seek(0)
                holder = held.read().strip() or "another rehearsal command"
                if time.monotonic() > end:
                    raise RehearsalError(
                        f"{holder} still holds the lock after {limit:.0f} s", "", "python -m rehearsal status"
                    ) from None
                if not told:
                    progress.say(f" waiting for {holder}")
                    told = True
                time.sleep(0.5)
        held.seek(0)
        held.truncate()
        held.write(f"pid {os.getpid()} (in {paths.ROOT}, since {now()})")
        held.flush()
        yield


def now() -> str:
    """The time as it is written down: UTC, seconds."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owner(state: Path = paths.STATE) -> dict[str, str]:
    """Labels that tell this rehearsal's hosts from another checkout's, and from those whose .rehearsal was lost."""
    file = state / "id"
    if not file.exists():
        paths.make_private(state)
        file.write_text(secrets.token_hex(8))
    mark = hashlib.sha256(f"{paths.OWNER}\0{file.read_text()}".encode()).hexdigest()[:12]
    return {"changeover.owner": mark, "changeover.checkout": str(paths.OWNER)}


def status(state_word: str, hosts: Iterable[Host], in_subnet: str, started: str, state: Path = paths.STATE) -> dict:
    """The content of status.json: how everything is reached; all paths absolute. Pure."""
    name = plan.GATEWAY_NAMES[0]
    return {
        "state": state_word,
        "started": started,
        "gateway": {
            "url": f"https://{name}.{plan.DOMAIN}:{plan.HTTPS_PORT}",
            "address": "127.0.0.1",
            "http_port": plan.HTTP_PORT,
            "https_port": plan.HTTPS_PORT,
            "ca": str(state / "ca.crt"),
        },
        "registry": {"push": registry.push_address(), "pull": registry.pull_address()},
        "ssh": {
            "user": plan.USER,
            "key": str(state / "ssh_key"),
            "known_hosts": str(state / "known_hosts"),
            "config": str(state / "ssh_config"),
        },
        "tls": {"certificate": str(state / "tls" / "server.crt"), "key": str(state / "tls" / "server.key")},
        "secrets": str(state / "secrets.env"),
        "hosts": {
            host.name: {
                "address": plan.address(host, in_subnet),
                "ssh_hostname": "127.0.0.1",
                "ssh_port": host.ssh_port,
                "fqdn": host.fqdn,
                "container": host.container,
            }
            for host in hosts
        },
    }


def read(state: Path = paths.STATE) -> dict:
    """status.json as it was written last; {"state": "down"} when there is none."""
    try:
        return json.loads((state / "status.json").read_text())
    except (OSError, ValueError):
        return {"state": "down", "hosts": {}}


def write(content: dict, state: Path = paths.STATE) -> None:
    """Write status.json whole or not at all."""
    part = state / "status.json.part"
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.rename(state / "status.json")


def control_path() -> str:
    """Where ssh keeps its shared connections: short, for a socket's name may not be longer than about 100 letters."""
    return f"{tempfile.gettempdir()}/changeover-{os.getuid()}-%C"
