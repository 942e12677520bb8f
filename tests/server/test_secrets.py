"""Secrets lie in files that only their owner reads, and their values are nowhere else. Values are never shown."""

from urllib.parse import quote

import pytest

from changeover.files import Directory

from .under_test import check


@pytest.fixture
def values(fleet):
    """{value: its name} of every secret, and of every text that is made from one."""
    found = {fleet.secrets.get(system, name): f"{system} {name}" for system, name in fleet.plan.secrets_wanted()}
    for system in fleet.plan.systems:
        for machine in fleet.plan.group(system):
            for spec in fleet.specs(system, machine.name):
                found |= {secret.value: f"{system} {spec.service} {secret.name}" for secret in spec.secrets}
    return found | {quote(value, safe=""): name for value, name in found.items()}  # as it stands in a URL


def leaves(value):
    """Every text in a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield str(value)


def test_files_are_readable_by_their_owner_only(fleet, member):
    """Folders 0700 of root, files 0400 of the container's user; nobody's else lies there."""
    machine, system, _ = member
    found = fleet.look(machine, "files")
    base = f"{fleet.plan.run_dir(system)}/secrets"
    problems = []
    for entry in fleet.desired(machine):
        if not f"{entry.path}/".startswith(f"{base}/"):
            continue
        mode = "700" if isinstance(entry, Directory) else "400"
        have = found.get(entry.path) or {"mode": "missing", "owner": []}
        if have["mode"] != mode:
            problems.append(f"{entry.path}: mode {have['mode']}, not {mode}")
        if entry.owner not in have["owner"]:
            problems.append(f"{entry.path}: owner {' '.join(have['owner'])}, not {entry.owner}")
    check([f"{member}: {problem}" for problem in problems])


def test_keys_of_certificates_are_roots(fleet, tls_site):
    end = "pem" if fleet.plan.systems[tls_site.system].tls == "acme" else "key"
    path = f"{fleet.plan.fleet.gateway.run_dir}/conf/tls/{tls_site.system}.{end}"
    have = fleet.look(tls_site.machine, "files").get(path) or {"mode": "missing", "owner": []}
    if have["mode"] != "600" or "root" not in have["owner"]:
        check([f"{tls_site}: {path}: mode {have['mode']}, owner {' '.join(have['owner'])}; not 600 and root"])


def test_values_are_in_no_container_description(fleet, machine, values):
    """Neither variables, labels, command nor anything else that `docker inspect` shows."""
    problems = []
    for container in fleet.look(machine.machine, "docker")["containers"]:
        texts = list(leaves(container))
        problems += [
            f"{machine}: docker inspect {container['Name'][1:]} shows the secret {name}"
            for value, name in values.items()
            if any(value in text for text in texts)
        ]
    check(problems)


def test_values_are_in_no_command_line(fleet, machine, values):
    lines = fleet.look(machine.machine, "argv")
    found = [(pid, name) for value, name in values.items() for pid, line in lines.items() if value in line]
    check([f"{machine}: process {pid} has the secret {name} in its command line" for pid, name in found])


def test_values_are_in_no_plain_file(fleet, machine, values):
    """The compose files and state.json."""
    texts = fleet.look(machine.machine, "texts")
    found = [(path, name) for value, name in values.items() for path, text in texts.items() if value in text]
    check([f"{machine}: {path} holds the secret {name}" for path, name in found])
