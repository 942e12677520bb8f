"""A deploy that has nothing to do, by pyinfra and by Ansible, in turn on the same hosts."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from base64 import b64decode
from pathlib import Path
from typing import Any

from bench import figures
from bench.run import BenchError, run

HERE = Path(".cache/bench")
VENV = Path(".cache/ansible-venv")
PINNED = Path("bench/requirements-ansible.txt")
PYINFRA = str(Path(sys.executable).parent / "pyinfra")
ANSIBLE = {
    "ANSIBLE_CONFIG": "bench/ansible/ansible.cfg",
    "ANSIBLE_HOME": str((HERE / "ansible").resolve()),
    "ANSIBLE_SSH_CONTROL_PATH_DIR": f"/tmp/changeover-bench-{os.getuid()}",  # a socket's path has 107 bytes at most
    "ANSIBLE_NOCOLOR": "1",
}


def measure(inventory: str, runs: int) -> dict[str, Any]:
    """Seconds of `runs` runs of each command, after one that is not counted. Raises BenchError."""
    pinned, done = PINNED.read_text(), VENV / "done"
    if not done.exists() or done.read_text() != pinned:
        print(" ansible-core gets a venv of its own", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])
        run([str(VENV / "bin/pip"), "install", "--quiet", "-r", str(PINNED)])
        done.write_text(pinned)
    try:
        run([PYINFRA, inventory, "deploy.py", "-y"])
        work = prepare(inventory)
        return {"work": work, "versions": pinned.splitlines()[-1], **compare(inventory, runs)}
    finally:
        shutil.rmtree(HERE, ignore_errors=True)  # secrets are among the rendered files


def compare(inventory: str, runs: int) -> dict[str, Any]:
    """Runs pyinfra and Ansible in turn: the whole deploy, then only files, packages, users and units."""
    ansible = [str(VENV / "bin/ansible-playbook"), "-i", f"{HERE}/inventory.json", "bench/ansible/site.yml"]
    commands = {
        "pyinfra": [PYINFRA, inventory, "deploy.py", "-y", "--json"],
        "ansible": ansible,
        "pyinfra-plain": [PYINFRA, inventory, "bench/plain.py", "-y", "--json"],
        "ansible-plain": [*ansible, "--skip-tags", "compose"],
    }
    unchanged([*ansible, "--check"])  # before it may touch anything
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    totals = []
    for number in range(runs + 1):
        for name, command in commands.items():
            took, output = unchanged(command)
            if number:
                seconds[name].append(took)
            if number and name == "pyinfra":
                totals.append(json.loads(output)["results"]["totals"])
            print(f" {name:<14} {took:6.1f} s{'' if number else '   not counted'}", flush=True)
    shown = {name: " ".join([Path(words[0]).name, *words[1:]]) for name, words in commands.items()}
    return {"seconds": seconds, "totals": totals, "commands": shown}


def unchanged(command: list[str]) -> tuple[float, str]:
    """Seconds and output of a run. Raises BenchError when it changed something: Ansible's files are old then."""
    began = time.monotonic()
    output = run(command, env={**os.environ, **ANSIBLE}).stdout
    took = round(time.monotonic() - began, 2)
    if found := figures.changes(output):
        why = "when somebody else is at work on the hosts, run it again later"
        raise BenchError("\n  ".join([f"changes, or would-be changes, by {' '.join(command)}; {why}", *found]))
    return took, output


def prepare(inventory: str) -> dict[str, int]:
    """Has the deploy say what it wants, writes Ansible's inventory and files; gives the amount of work."""
    shutil.rmtree(HERE, ignore_errors=True)
    (HERE / "wanted").mkdir(parents=True)
    HERE.chmod(0o700)
    run([PYINFRA, inventory, "bench/wanted.py", "--dry"])
    hosts = {}
    for path in sorted((HERE / "wanted").glob("*.json")):
        rendered = str((HERE / "rendered" / path.stem).resolve())
        hosts[path.stem] = {**host_vars(**json.loads(path.read_text())), "rendered": rendered}
        for entry in hosts[path.stem]["files"]:
            file = Path(rendered + entry["path"])
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b64decode(entry.pop("content")))
    (HERE / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    kinds = ("files", "directories", "packages", "users", "units", "compose")
    return {"hosts": len(hosts)} | {kind: sum(len(values[kind]) for values in hosts.values()) for kind in kinds}


def host_vars(connection: dict[str, Any], calls: list[dict[str, Any]]) -> dict[str, Any]:
    """A host's variables for the playbook, from how pyinfra reaches it and the operations the deploy called on it."""

    def of(operation: str, *keys: str) -> list[dict[str, Any]]:
        found = [call["arguments"] for call in calls if call["operation"] == operation]
        return [{key: arguments.get(key, []) for key in keys} for arguments in found]  # no groups: none

    trees = of("tree", "files", "directories")
    return {
        "ansible_host": connection["ssh_hostname"],
        "ansible_port": connection["ssh_port"],
        "ansible_user": connection["ssh_user"],
        "ansible_ssh_private_key_file": connection["ssh_key"],
        "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o UserKnownHostsFile={connection['ssh_known_hosts_file']}",
        "files": list({entry["path"]: entry for tree in trees for entry in tree["files"]}.values()),
        "directories": list({entry["path"]: entry for tree in trees for entry in tree["directories"]}.values()),
        "packages": list(dict.fromkeys(name for call in of("packages", "packages") for name in call["packages"])),
        "users": of("login", "user", "groups", "shell"),
        "units": [
            {"unit": unit, "reads": reads}
            for one in of("ready", "running")
            for unit, reads in dict(one["running"]).items()
        ],
        "compose": of("up", "directory", "services"),
    }
