"""The host command is there, and its peers can ask it and do nothing else."""

import json
import re

from changeover.files import File
from operations.host_command import BINARY, USER

from . import command
from .places import peers
from .under_test import check, differences

KEY = re.compile(r"(?:ssh|ecdsa|sk)-\S+ \S+")
ASKED = f'restrict,command="sudo -n {BINARY} peer" '


def test_command_and_settings_are_those_of_the_data(fleet, machine):
    """The command is the bytes that this checkout builds; the settings are compiled from this data."""
    found = fleet.look(machine.machine, "files")
    problems = []
    for entry in command.entries(fleet.plan, machine.machine):
        problems += differences(entry, found.get(entry.path), {entry.digest()} if isinstance(entry, File) else set())
    check([f"{machine}: {problem}" for problem in problems])


def test_settings_are_of_its_own_systems_only(fleet, machine):
    found = fleet.look(machine.machine, "folders").get(command.ETC, [])
    have = {name.removesuffix(".json") for name in found if name.endswith(".json")}
    strangers = sorted(have - set(fleet.plan.systems_on(machine.machine)))
    check([f"{machine}: {command.settings(name)} is there, and {name} is not for this host" for name in strangers])


def test_recovery_starts_with_the_host(fleet, machine):
    found = fleet.look(machine.machine, "system")["units"][command.RECOVER]
    check([] if "enabled" in found else [f"{machine}: {command.RECOVER} is {' '.join(found)}, not enabled"])


def test_key_and_rules_are_roots(fleet, machine):
    """Nobody but root reads the key, or writes who may ask."""
    found = fleet.look(machine.machine, "files")
    problems = []
    for path in command.PRIVATE:
        mode = {command.PEER_KEY: "600", command.SUDOERS: "440"}.get(path, "644")
        have = found.get(path) or {"kind": "missing", "mode": "missing", "owner": []}
        if (have["kind"], have["mode"]) != ("f", mode) or "root" not in have["owner"]:
            problems.append(f"{path}: is {have['kind']}, mode {have['mode']}, of {' '.join(have['owner'])}; not {mode}")
    check([f"{machine}: {problem}" for problem in problems])


def test_only_peers_keys_log_in_and_only_to_ask(fleet, machine):
    """Each line is restricted to `changeover peer`; the keys are those of the hosts that share a system, no other."""
    text = fleet.look(machine.machine, "texts").get(f"{command.SSH}/authorized_keys", "")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    free = [line for line in lines if not line.startswith(ASKED) or "command=" in line[len(ASKED) :]]
    keys = {found.group() if (found := KEY.search(line)) else line for line in lines}
    wanted = {host: key_of(fleet, host, f"{command.PEER_KEY}.pub") for host in peers(fleet.plan, machine.machine)}
    problems = [f"a line gives more than {ASKED}: {line[:60]}" for line in free]
    problems += [f"{host}'s key is not let in" for host, key in wanted.items() if key not in keys]
    problems += [f"{key[:40]}... is let in, and is no peer's" for key in sorted(keys - set(wanted.values()))]
    check([f"{machine}: authorized_keys of {USER}: {problem}" for problem in problems])


def test_peers_host_keys_are_pinned(fleet, machine):
    text = fleet.look(machine.machine, "texts").get(f"{command.ETC}/known_hosts", "")
    found = {line for line in text.splitlines() if line.strip() and not line.startswith("#")}
    hosts = fleet.plan.hosts
    names = peers(fleet.plan, machine.machine)
    wanted = {f"{hosts[host].address} {key_of(fleet, host, command.SERVER_KEY)}": host for host in names}
    problems = [f"{wanted[line]} is not pinned by the key that it has" for line in sorted(wanted.keys() - found)]
    problems += [f"{line[:50]}... is pinned, and is no peer" for line in sorted(found - wanted.keys())]
    check([f"{machine}: {command.ETC}/known_hosts: {problem}" for problem in problems])


def key_of(fleet, host: str, path: str) -> str:
    key = command.public(fleet.look(host, "texts").get(path))
    check([] if key else [f"{host}: {path} is missing"])
    return key


def test_user_of_the_peers_may_do_one_thing(fleet, machine):
    """By all of sudo's rules; it has no password, and is in no group that gives more."""
    found = fleet.look(machine.machine, "peer")
    rules = [line.strip() for line in found["sudo"] if line.startswith("    (")]
    problems = [f"sudo allows {rule}" for rule in rules if rule != f"(root) NOPASSWD: {BINARY} peer"]
    problems += [] if rules else [f"sudo does not allow {BINARY} peer"]
    problems += [f"is in group {group}" for group in found["groups"]]
    problems += [] if found["password"] in ("L", "LK") else [f"its password is not locked ({found['password']})"]
    check([f"{machine}: {USER}: {problem}" for problem in problems])


def test_a_peer_cannot_run_anything_else(fleet, peered):
    """From the host before it in the inventory's order: a shell command and a tunnel are refused, a question is not."""
    plan = fleet.plan
    ring = peers(plan, peered.machine)
    asking = ring[ring.index(peered.machine) - 1]
    target = f"{USER}@{plan.hosts[peered.machine].address}"
    options = {"UserKnownHostsFile": f"{command.ETC}/known_hosts", "StrictHostKeyChecking": "yes"}
    options |= {"BatchMode": "yes", "ConnectTimeout": "5", "LogLevel": "INFO"}
    words = ["ssh", "-F", "none", "-i", command.PEER_KEY, *(f"-o{key}={value}" for key, value in options.items())]
    tries = {"id": [target, "id"], "shell": [target], "tunnel": ["-W", "127.0.0.1:22", target]}
    answers = fleet.ask(
        asking, [{"id": name, "kind": "words", "words": [*words, *more]} for name, more in tries.items()]
    )
    problems = [f"{name}: {answer['error']}" for name, answer in answers.items() if "error" in answer]
    if not problems:
        free = {name: answers[name]["out"] for name in ("id", "shell") if not refused(answers[name])}
        problems += [f"{name}: gives {out[:80]!r}" for name, out in free.items()]
        tunnel = answers["tunnel"]
        if tunnel["out"] or "prohibited" not in tunnel["err"]:
            problems.append(f"tunnel: {tunnel['out'][:80] or tunnel['err']}")
    check([f"{peered}: asked by {asking}: {problem}" for problem in problems])


def refused(answer) -> bool:
    """The peer's own answer to no request at all: so the login worked, and led nowhere else."""
    try:
        said = json.loads(answer["out"])
    except ValueError:
        return False
    return said.get("ok") is False and "no such request" in said.get("error", "")
