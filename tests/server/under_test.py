"""The fleet under test: the plan that a deploy would follow, and what each host says, asked once for all tests."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import testinfra

import hostcmd.state
from changeover import certificates, fleet, gateway, hardening, secrets
from changeover.files import Directory, File
from changeover.live import Live, SlotState, other, parse
from changeover.problems import SettingsError
from changeover.stack import ContainerSpec, containers
from facts.certificates import SCRIPT
from facts.files import differs
from facts.host import STATE_DIR, state_path
from hostcmd.stop import Stop
from operations import guard, secure
from operations.host_command import AT_BOOT, BINARY, USER
from operations.provision import UNITS, daemon_json
from operations.stack import stack_files

from . import command

ROOT = Path(__file__).resolve().parents[2]
ON_HOST = Path(__file__).parent / "on_host"
LIMIT = 90  # seconds for one look at a host
# Who else than root may do what to what every login depends on, at most.
MODES = {
    "/etc/passwd": "644",
    "/etc/group": "644",
    "/etc/shadow": "640",
    "/etc/gshadow": "640",
    "/etc/ssh/sshd_config": "644",
    "/etc/ssh/ssh_host_ed25519_key": "600",
    "/etc/sudoers": "440",
    "/etc/crontab": "644",
}
SAID = re.compile(r"pyinfra error(?: in \S+ line \d+)?: (.*?)(?=\n-->|\Z)", re.DOTALL)  # the person's part of stderr
SSH_OPTIONS = {
    "HostName": "ssh_hostname",
    "Port": "ssh_port",
    "User": "ssh_user",
    "IdentityFile": "ssh_key",
    "UserKnownHostsFile": "ssh_known_hosts_file",
    "StrictHostKeyChecking": "ssh_strict_host_key_checking",
}


class InventoryError(Exception):
    """The inventory cannot be used; str() is the line for the person."""


def read_inventory(path: str) -> list[SimpleNamespace]:
    """Name, groups and merged data of each host, from pyinfra in a process of its own (it patches its process)."""
    command = [str(Path(sys.executable).parent / "pyinfra"), path, "debug-inventory", "--json"]
    try:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        raise InventoryError(f"inventory {path}: no answer in 120 s; run: {' '.join(command)}") from None
    if run.returncode or not run.stdout.strip():
        said = SAID.search(run.stderr)
        raise InventoryError(f"inventory {path}: {said[1].strip() if said else run.stderr[-500:] or 'it has no hosts'}")
    return [SimpleNamespace(**host) for host in json.loads(run.stdout, object_hook=_number_keys)]


def _number_keys(values: dict[str, Any]) -> dict[Any, Any]:
    """JSON makes text of the ports that are keys in the data."""
    return {int(key) if key.isdigit() else key: value for key, value in values.items()}


class FleetUnderTest:
    """Arguments: the inventory's file, as pyinfra takes it. Raises InventoryError."""

    def __init__(self, inventory: str):
        hosts = read_inventory(inventory)
        try:
            self.plan = fleet.load([(h.name, [g for g in h.groups if g != "all"], h.data) for h in hosts])
        except SettingsError as error:
            raise InventoryError(f"inventory {inventory}: the settings are not right\n{error}") from None
        self.secrets = secrets.of(self.plan, ROOT)
        self.notes: list[str] = []  # what is allowed but worth a line; printed at the end
        self._data = {h.name: h.data for h in hosts}
        self._looks: dict[str, dict[str, Any] | str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="co-ssh-"))
        self._config = self._folder / "config"
        self._config.write_text("".join(self._ssh(name) for name in self._data))

    def _ssh(self, name: str) -> str:
        data = self._data[name]
        lines = [f" {option} {data[key]}" for option, key in SSH_OPTIONS.items() if data.get(key)]
        lines += [" LogLevel ERROR", " BatchMode yes", f" ControlPath {self._folder}/%C", " ServerAliveInterval 15"]
        return "\n".join([f"Host {name}", *lines, ""])

    def close(self) -> None:
        """Ends the SSH connections."""
        for name in self._looks:
            subprocess.run(["ssh", "-F", self._config, "-O", "exit", name], capture_output=True, timeout=20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, machine: str, script: str, argument: Any) -> dict[str, Any] | str:
        """What a script of on_host/ prints; text is why there is nothing."""
        host = testinfra.get_host(
            f"ssh://{machine}", ssh_config=str(self._config), sudo=bool(self._data[machine].get("_sudo"))
        )
        source = (ON_HOST / f"{script}.py").read_text()
        try:
            answer = host.run(f"timeout {LIMIT} python3 -c %s %s", source, json.dumps(argument))
            return json.loads(answer.stdout)
        except RuntimeError:
            return f"{machine}: no SSH; try: pyinfra INVENTORY --limit {machine} exec -y -- true"
        except ValueError:
            return f"{machine}: {script}.py ended with {answer.rc}: {answer.stderr.strip()[-300:]}"

    def look(self, machine: str, topic: str) -> Any:
        """What a host says about a topic of on_host/look.py. The first question looks at all hosts at once."""
        if machine not in self._looks:
            names = [name for name in self._data if name not in self._looks]
            with ThreadPoolExecutor(8) as pool:
                found = pool.map(lambda name: self._run(name, "look", self._asked(name)), names)
                self._looks.update(zip(names, found, strict=True))
        look = self._looks[machine]
        if isinstance(look, str):
            pytest.fail(look, pytrace=False)
        if "error" in look[topic]:
            pytest.fail(f"{machine}: {topic}: {look[topic]['error']}", pytrace=False)
        return look[topic]

    def ask(self, machine: str, questions: list[dict[str, Any]]) -> dict[str, Any]:
        """Answers of on_host/ask.py by question id."""
        answers = self._run(machine, "ask", questions)
        if isinstance(answers, str):
            pytest.fail(answers, pytrace=False)
        return answers

    def _asked(self, machine: str) -> dict[str, Any]:
        plan = self.plan
        # Whichever slot is live: the secrets of each lie in a folder of its own.
        blue = dict.fromkeys(plan.systems, Live())
        slots = SlotState(live="green", green="any")
        green = {system: Live(slots=dict.fromkeys(plan.switched(system), slots)) for system in plan.systems}
        found = [*self._desired(machine, blue), *self._desired(machine, green)]
        entries = list({entry.path: entry for entry in found}.values())
        homes = [plan.run_dir(system) for system in plan.systems] + [plan.fleet.gateway.run_dir]
        states = [state_path(system) for system in plan.systems]
        public = [*command.KEYS, f"{command.SSH}/authorized_keys", f"{command.ETC}/known_hosts"]
        slots = [f"{plan.fleet.gateway.run_dir}/slots/{system}/live" for system in plan.systems]
        return {
            "units": [*UNITS, *secure.UNITS, *secure.TIMERS, guard.NFTABLES, guard.UNIT, command.RECOVER],
            "user": plan.fleet.deploy_user,
            "kernel": list(hardening.sysctl_values(plan.fleet, container=False)),
            "modes": list(MODES),
            "exposure": [guard.UNIT, *AT_BOOT],
            "peer": USER,
            "paths": [
                *(entry.path for entry in (*entries, *command.entries(plan, machine))),
                *(*homes, *states, *slots, *command.PRIVATE, f"{plan.fleet.gateway.run_dir}/loaded"),
                *(f"{plan.fleet.gateway.run_dir}/conf/tls/{system}.pem" for system in plan.systems),
            ],
            "texts": [*states, *public, *map(command.settings, plan.systems), *(f"{h}/compose.yaml" for h in homes)],
            "folders": [*slots, command.ETC],
        }

    @cache  # noqa: B019 (one object per run of the tests)
    def live(self, system: str) -> Live:
        """What is live, as the system's coordinator says; a system that was never installed is no reason to stop."""
        machine = self.plan.coordinator(system).name
        try:
            return parse(self.look(machine, "texts").get(state_path(system)))
        except ValueError as error:
            return pytest.fail(f"{machine}: {state_path(system)}: {error}", pytrace=False)

    def state(self, system: str, machine: str = "") -> dict[str, Any]:
        """A host's own state.json, as the host command reads it; without a host the coordinator's."""
        name = machine or self.plan.coordinator(system).name
        self.live(system)  # a damaged one is said there
        try:
            return hostcmd.state.parse(self.look(name, "texts").get(state_path(system)))
        except Stop as stop:
            return pytest.fail(f"{name}: {state_path(system)}: {stop.fact}", pytrace=False)

    @cache  # noqa: B019
    def changeover(self, machine: str, system: str, *words: str) -> dict[str, Any]:
        """What the host command answers to a reading verb, typed on a host."""
        question = {"kind": "words", "words": [BINARY, words[0], system, *words[1:], "--json"], "limit": 40}
        answer = self.ask(machine, [{"id": "it", **question}])["it"]
        try:
            return json.loads(answer["out"])
        except (KeyError, ValueError):
            said = answer.get("error") or answer["err"] or answer["out"]
            return pytest.fail(f"{machine}: changeover {words[0]} {system}: {said[-300:]}", pytrace=False)

    def specs(self, system: str, machine: str) -> list[ContainerSpec]:
        """The containers that a deploy would run, secrets and all."""
        return containers(self.plan, system, machine, self.live(system), self.secrets)

    def desired(self, machine: str) -> list[File | Directory]:
        """Every file and folder that a deploy would put there; state.json has a test of its own."""
        return self._desired(machine, {system: self.live(system) for system in self.plan.systems_on(machine)})

    def digests(self, machine: str, entry: File) -> set[str]:
        """What a file's content may be.

        A slot that was given up is forgotten at once, and the compose file names it until the next deploy.
        """
        found = {entry.digest()}
        for system in self.plan.systems_on(machine):
            if entry.path == f"{self.plan.run_dir(system)}/compose.yaml":
                live = self._with_leftovers(system, machine)
                files, _ = stack_files(self.plan, system, containers(self.plan, system, machine, live, self.secrets))
                found |= {file.digest() for file in files if file.path == entry.path}
        return found

    def _with_leftovers(self, system: str, machine: str) -> Live:
        """What is live, and in each empty slot the release whose container is left there."""
        live = self.live(system)
        labels = [container["Config"]["Labels"] or {} for container in self.look(machine, "docker")["containers"]]
        left = {
            (label.get("changeover.service"), label.get("changeover.slot")): label.get("changeover.release")
            for label in labels
            if label.get("changeover.system") == system
        }
        slots = {}
        for name, state in live.slots.items():
            idle = other(state.live) if state.live else None
            empty = idle and not state.release(idle)
            slots[name] = state.model_copy(update={idle: left.get((name, idle))}) if empty else state
        return live.model_copy(update={"slots": slots})

    def _desired(self, machine: str, live: dict[str, Live]) -> list[File | Directory]:
        plan = self.plan
        found: list[File | Directory] = [
            File("/etc/docker/daemon.json", daemon_json(plan.fleet.daemon)),
            *guard.files(plan.fleet),
            Directory("/srv"),
            Directory(STATE_DIR),
        ]
        for system in plan.systems_on(machine):
            specs = containers(plan, system, machine, live[system], self.secrets)
            if specs:
                # The way back keeps the secrets that it was released with, whatever the data say now.
                fresh = [spec for spec in specs if spec.role != "previous"]
                files, directories = stack_files(plan, system, specs, fresh)
                found += [*directories, *files]
        if plan.fleet.gateway.on in plan.hosts[machine].groups:
            with contextlib.chdir(ROOT):  # certificates are named from the repository's root
                files = gateway.files(plan, machine, secrets=self.secrets)
                found += [*gateway.directories(plan, machine), *files, gateway.compose(plan)]
                if certificates.systems(plan, machine):
                    found += certificates.files(plan, machine, SCRIPT.read_text())
        return found


def differences(entry: File | Directory, have: dict[str, Any] | None, digests: set[str]) -> list[str]:
    """How a path on a host is not as it must be. Arguments: what must be; what look.py says; allowed digests."""
    kind = "f" if isinstance(entry, File) else "d"
    if have is None or have["kind"] != kind:
        return [f"{entry.path}: is {'missing' if have is None else 'something else than a ' + kind}"]
    wrong = kind == "f" and have["digest"] not in digests
    found = [f"{entry.path}: its content is not what the data says"] if wrong else []
    if have["mode"] != entry.mode:
        found.append(f"{entry.path}: mode {have['mode']}, not {entry.mode}")
    for which in ("owner", "group"):
        wanted = getattr(entry, which)
        if differs(wanted, ":".join(have[which])):
            found.append(f"{entry.path}: {which} {':'.join(have[which])}, not {wanted}")
    return found


def check(problems: list[str]) -> None:
    """Fails with one line for each problem, and no trace."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
