"""The rehearsal's own hosts, and no others: shells on them, and the host command typed on the coordinator."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.run import BenchError, run
from rehearsal import state
from rehearsal.errors import RehearsalError
from rehearsal.load.run import target

SYSTEM, COORDINATOR = "tasktracker", "edge1"
RELEASES = ("1.1.0", "1.1.1")  # of the same schema, so that both ways are open
INVENTORY = "inventories/staging.py"
FOLDER = Path(".cache/bench-moves")  # the requests of the last run stay there
LIVE = f"/srv/gateway/slots/{SYSTEM}/live"
LONG = 300.0  # seconds for a command on a host: starts and stops included
# What was typed, and when; of the symlink that is renamed: its own time (made when all was ready), the renaming's.
TYPED = f"""was=$(ls {LIVE}/ | sed -n 's/^api\\.//p'); began=$(date +%s.%N)
said=$(changeover {{words}} 2>&1); code=$?
printf '%s\\n' "$code $began $(date +%s.%N) $(stat -c '%.6Y %.6Z' {LIVE}) $was" "$said" """


@dataclass(frozen=True)
class Typed:
    """A command of the host command; Unix times in seconds: typed, everything ready, traffic moved, returned.

    `ready` and `moved` are of the last move there was, which is this command's when it moved something. `was` is the
    slot that had the traffic before.
    """

    words: str
    typed: float
    ended: float
    ready: float
    moved: float
    was: str
    said: str


class Hosts:
    """Shells on the hosts of the rehearsal. Raises BenchError when they are down, or not the rehearsal's own."""

    def __init__(self) -> None:
        try:
            self.status = state.read()
            target(self.status)
        except RehearsalError as error:
            raise BenchError(error.text().removeprefix("error  ")) from None
        self.address = {name: host["address"] for name, host in self.status["hosts"].items()}
        found = self.shell(COORDINATOR, f"hostname -f; cat /etc/changeover/{SYSTEM}.json").partition("\n")
        wanted = self.status["hosts"][COORDINATOR]["fqdn"]
        if found[0] != wanted or json.loads(found[2])["environment"] != "staging":
            raise BenchError(f"{COORDINATOR} is {found[0]}, not the rehearsal's {wanted}; nothing was touched")

    def shell(self, host: str, script: str, limit: float = LONG) -> str:
        """What a script of sh prints, run as root on a host. Raises BenchError."""
        words = ["ssh", "-F", self.status["ssh"]["config"], host, f"sudo sh -c {shlex.quote(script)}"]
        return run(words, limit=limit).stdout.strip()

    def changeover(self, words: str) -> Typed:
        """Types a command on the coordinator. Raises BenchError with its words when it refuses."""
        printed = self.shell(COORDINATOR, TYPED.format(words=words))
        typed = parse(words, printed)
        if not printed.startswith("0 "):
            raise BenchError(f"changeover {words}\n{typed.said}")
        return typed

    def live(self) -> dict[str, Any]:
        """The system's state, as the coordinator has it."""
        return json.loads(self.shell(COORDINATOR, f"cat /var/lib/changeover/{SYSTEM}/state.json"))


def parse(words: str, printed: str) -> Typed:
    """What TYPED prints. Pure."""
    head, _, said = printed.partition("\n")
    _, typed, ended, ready, moved, was = head.split()
    return Typed(words, float(typed), float(ended), float(ready), float(moved), was, said)


def other(release: str) -> str:
    """The release to go to from this one. Raises BenchError where there is no way back from it."""
    if release == "1.0.0":
        return RELEASES[0]
    if release not in RELEASES:
        raise BenchError(f"{release} is live; deploy one of {', '.join(RELEASES)} first")
    return RELEASES[release == RELEASES[0]]


def deploy(release: str | None = None, **overrides: str) -> subprocess.CompletedProcess[str]:
    """A deploy as a person types it; `overrides` of tasktracker.release. Raises BenchError."""
    words = [str(Path(sys.executable).with_name("pyinfra")), INVENTORY, "deploy.py", "-y"]
    if release:
        words += ["--data", f"release={release}"]
    if overrides:
        file = FOLDER / "staging.py"
        more: dict[str, Any] = {f"{SYSTEM}.release.{key}": value for key, value in overrides.items()}
        if "soak" in overrides:
            more[f"{SYSTEM}.gates"] = []  # none could be decided in so short a time
        file.write_text(Path("group_data/staging.py").read_text() + f"\noverrides |= {more!r}\n")
        words += ["--group-data", str(file)]
    return run(words)


@contextlib.contextmanager
def borrowed() -> Iterator[Hosts]:
    """The hosts, for moving traffic; afterwards, also after an error, they are as a plain deploy leaves them.

    Raises BenchError when somebody else is at work on them: then nothing is touched.
    """
    hosts = Hosts()
    now = hosts.live()
    if now["lease"] or now["maintenance"] or now["pending"] or locked(hosts, SYSTEM):
        raise BenchError(f"{SYSTEM} is being worked on; look: sudo changeover status {SYSTEM}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        yield hosts
    finally:
        print(" hosts      a plain deploy puts them right; this is not broken off", flush=True)
        kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            restore(hosts)
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)


def locked(hosts: Hosts, system: str) -> bool:
    """Whether a deploy holds the system."""
    return bool(json.loads(hosts.shell(COORDINATOR, f"changeover lock {system} show --json"))["lock"])


def restore(hosts: Hosts) -> None:
    """One release serves everywhere, confirmed; nothing is staged, nobody holds the lock; settings are the data's."""
    for system in (SYSTEM, "hello"):  # of a deploy that was killed
        if locked(hosts, system):
            hosts.changeover(f"lock {system} break")
    hosts.changeover(f"recover {SYSTEM}")
    if hosts.live()["lease"]:
        hosts.changeover(f"confirm {SYSTEM}")
    deploy()
    hosts.changeover(f"drain {SYSTEM} --now")
