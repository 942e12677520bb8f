"""The hosts as a fault finds them: a shell on each, the engine around them, and what each says of itself."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import paths, state
from ..errors import RehearsalError
from .deploy import Deploy

SYSTEM, COORDINATOR = "tasktracker", "edge1"
KEPT = f"/var/lib/changeover/{SYSTEM}"
SLOTS = f"/srv/gateway/slots/{SYSTEM}"
HOSTS = ("edge1", "app1", "app2", "data1")
RELEASES = ("1.1.0", "1.1.1")  # both know the same schema, so that either can follow the other

# One question to a host: its state, its settings, what its gateway serves, its containers, and what the api answers.
LOOK = f"""
containers() {{
  docker ps --filter label=changeover.system={SYSTEM} --format '{{{{.Names}}}} {{{{.Label "changeover.release"}}}}'
}}
cat {KEPT}/state.json; echo; echo @@
cat /etc/changeover/{SYSTEM}.json; echo; echo @@
readlink {SLOTS}/live; echo @@
containers; echo @@
for name in $(containers | grep -o '^[^ ]*-api-[^ ]*'); do
  echo "$name $(curl -s -m 5 http://$(docker port $name | sed -n 's/.*-> //p' | head -1)/api/health)"
done
"""


@dataclass(frozen=True)
class Look:
    """What a host says: its state, its settings, the generation served, {container: release}, {container: answer}."""

    state: dict[str, Any]
    settings: dict[str, Any]
    served: str
    containers: dict[str, str]
    answers: dict[str, str]


@dataclass
class Scene:
    """The rehearsal while a fault lasts."""

    folder: Path
    before: str = ""  # the release that was live
    wanted: str = ""  # the one that the deploy goes to
    inventory: str = "inventories/staging.py"
    deploy: Deploy | None = None
    others: dict[str, Deploy] = field(default_factory=dict)  # further deploys that the fault itself starts
    notes: list[str] = field(default_factory=list)  # what a fault itself found to be wrong
    hosts: tuple[str, ...] = HOSTS

    def ssh(self, host: str, command: str, limit: float = 60, check: bool = True) -> str:
        """Runs a command as root on a host; what it printed. Raises RehearsalError when it fails (with `check`)."""
        words = ["ssh", "-F", str(paths.STATE / "ssh_config"), host, f"sudo sh -c {shlex.quote(command)}"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, errors="replace")
        except subprocess.TimeoutExpired as error:
            raise RehearsalError(f"{host}: no answer within {limit:.0f} s", command) from error
        if check and done.returncode:
            raise RehearsalError(f"{host}: exit code {done.returncode}", f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def inside(self, host: str, command: str, limit: float = 60) -> str:
        """Runs a command in a host by way of the engine, which needs no network of the host's."""
        name = state.read()["hosts"][host]["container"]
        words = ["docker", "exec", name, "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit, errors="replace")
        if done.returncode:
            raise RehearsalError(f"{host}: exit code {done.returncode}", f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def changeover(self, words: str, host: str = COORDINATOR, check: bool = True) -> str:
        """Types a command of the host command."""
        return self.ssh(host, f"changeover {words} 2>&1", limit=240, check=check)

    def state(self, host: str = COORDINATOR) -> dict[str, Any]:
        """What a host says is live. Raises RehearsalError, ValueError."""
        found: dict[str, Any] = json.loads(self.ssh(host, f"cat {KEPT}/state.json"))
        return found

    def look(self, host: str) -> Look:
        """One host's answer to LOOK. Raises RehearsalError, ValueError."""
        kept, settings, served, containers, answers = self.ssh(host, LOOK).split("@@")
        pairs = [line.partition(" ")[::2] for line in containers.strip().splitlines()]
        said = [line.partition(" ")[::2] for line in answers.strip().splitlines()]
        return Look(json.loads(kept), json.loads(settings), served.strip(), dict(pairs), dict(said))

    def start_deploy(self, release: str, settings: dict[str, Any], name: str = "deploy") -> Deploy:
        """Starts a deploy. Arguments: the release; overrides; the name of the folder for its settings."""
        return Deploy(self.folder / name, release, settings, self.inventory)

    def everywhere(self, release: str, away: Iterable[str] = ()) -> list[str]:
        """What is not as it must be when exactly this release serves on all hosts (but those `away`), nothing open."""
        hosts = [host for host in self.hosts if host not in away]
        try:
            with ThreadPoolExecutor(len(hosts)) as pool:
                looks = dict(zip(hosts, pool.map(self.look, hosts), strict=True))
        except (RehearsalError, ValueError) as error:
            return [error.text() if isinstance(error, RehearsalError) else f"a host's state cannot be read: {error}"]
        return wrong(looks, release, owed=bool(set(away)))


def wrong(looks: dict[str, Look], release: str, owed: bool = False) -> list[str]:
    """What is wrong when one release is to serve everywhere; with `owed` a host may still have to be told. Pure."""
    found = []
    first = looks[COORDINATOR].state if COORDINATOR in looks else next(iter(looks.values())).state
    if first["release"]["live"] != release:
        found.append(f"{first['release']['live']} is live, not {release}")
    if first["lease"] or first["pending"] and not owed:
        found.append(f"something is open: lease {first['lease']}, pending {first['pending']}")
    for host, look in looks.items():
        # what is staged is told to the coordinator alone, so only what serves is compared
        says, must = ((one["generation"], one["release"]["live"]) for one in (look.state, first))
        if says != must:
            found.append(f"{host} says generation, release {says}, not {must}")
        if host in look.settings["gateways"] and look.served != str(first["generation"]):
            found.append(f"the gateway of {host} serves generation {look.served}, not {first['generation']}")
        for container, answer in look.answers.items():
            if f"-{first['slots']['api']['live']}-" in container and f'"{release}"' not in answer:
                found.append(f"{container} on {host} answers {answer[:80] or 'nothing'}, not {release}")
        for service, settings in look.settings["services"].items():
            live = first["slots"][service]["live"]
            has = {slot: look.containers.get(f"{SYSTEM}-{service}-{slot}-1") for slot in ("blue", "green")}
            if host in settings["hosts"] and has[live] != release:
                found.append(f"{service}-{live} on {host} runs {has[live] or 'not'}, not {release}")
            if not settings["traffic"] and any(has[slot] for slot in has if slot != live):
                found.append(f"{service} on {host} runs in both slots")
    return found


def wait_until(look: Callable[[], list[str]], limit: float) -> list[str]:
    """Asks until nothing is wrong any more, or for `limit` seconds; what is wrong then."""
    end = time.monotonic() + limit
    while (found := look()) and time.monotonic() < end:
        time.sleep(1)
    return found
