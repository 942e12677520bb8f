"""What listens on a host: ssh, the gateway in public, everything else of ours on the private address or loopback."""

import re

import pytest

from changeover.fleet import host_ports

from . import expected
from .places import Place, edges
from .under_test import check

LINE = re.compile(r"^\S+\s+\d+\s+\d+\s+(\S+):(\d+)\s+\S+\s*(?:users:\(\(\"([^\"]+)\")?")
PUBLIC = {"0.0.0.0", "*", "[::]"}
PROXY = "docker-proxy"  # the engine's process behind a published port


def listeners(fleet, machine: str) -> set[tuple[str, int, str]]:
    """(address, port, process) of the listening TCP sockets, sshd's own left out."""
    found = set()
    ssh = {int(port) for port in fleet.look(machine, "system")["ssh_ports"]}
    for line in fleet.look(machine, "listeners"):
        match = LINE.match(line)
        assert match, f"{machine}: ss printed an unknown line: {line}"
        address, port, process = match.groups()
        if not (int(port) in ssh and process in ("sshd", "systemd")):
            found.add((address.partition("%")[0], int(port), process or ""))
    return found


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "[::1]"


@pytest.fixture
def live(fleet, machine):
    return {system: fleet.live(system) for system in fleet.plan.systems_on(machine.machine)}


@pytest.fixture
def wanted(fleet, machine, live):
    """{(address, port): whose} that must listen."""
    return expected.listening(fleet.plan, machine.machine, live)


@pytest.fixture
def known(fleet, machine, live, wanted):
    """{(address, port): whose} that may: also slots that are not live."""
    return wanted | expected.idle_ports(fleet.plan, machine.machine, live)


def test_our_ports_listen(fleet, machine, wanted):
    """Each on its own address only. An engine without its userland proxy has no sockets to look at."""
    found = {(address, port) for address, port, _ in listeners(fleet, machine.machine)}
    if not fleet.plan.fleet.daemon.get("userland-proxy", True):
        pytest.skip("the engine runs with userland-proxy off: published ports are no sockets")
    missing = {key: whose for key, whose in wanted.items() if key not in found}
    check([f"{machine}: {whose} does not listen on {a}:{p}" for (a, p), whose in missing.items()])


def test_nothing_else_listens(fleet, machine, known):
    """Beyond loopback only what the data says; a host that runs no system is only checked for nothing of ours."""
    name, plan = machine.machine, fleet.plan
    runs_ours = plan.systems_on(name) or Place(name) in edges(plan)
    services = [service for system in plan.systems.values() for service in system.services.values()]
    ours = {port for service in services for port in host_ports(service).values()}
    ours |= {plan.fleet.gateway.http_port, plan.fleet.gateway.https_port}
    problems = []
    for address, port, process in sorted(listeners(fleet, name)):
        if (address, port) in known:
            continue
        line = f"{name}: {address}:{port} ({process or 'no process of this host'})"
        if process == PROXY or port in ours or (runs_ours and not is_loopback(address)):
            problems.append(f"{line} listens, and nothing in the data says so")
        else:
            fleet.notes.append(f"{line} listens; it is the host's own")
    check(problems)


def test_only_ssh_and_the_gateway_are_public(fleet, machine, wanted):
    """Nothing of ours is on all addresses but the gateway; ssh was left out."""
    public = {port for address, port in wanted if address in PUBLIC}
    gateway = {fleet.plan.fleet.gateway.http_port, fleet.plan.fleet.gateway.https_port}
    check([f"{machine}: port {port} is public by the data" for port in public - gateway])
    found = [
        entry
        for entry in listeners(fleet, machine.machine)
        if entry[0] in PUBLIC and entry[1] not in gateway and (entry[2] == PROXY or wanted)
    ]
    check([f"{machine}: {address}:{port} ({process}) is public" for address, port, process in found])
