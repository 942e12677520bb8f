"""A single host on demand, added to hosts that are up and removed again; the others are not looked at."""

from __future__ import annotations

from . import engine as engines
from . import hosts, paths, plan, state, trust, up
from .errors import RehearsalError
from .plan import Host
from .shell import Shell


def add(shell: Shell, host: Host) -> None:
    """Brings a new, empty host up and says how to reach it. Raises RehearsalError when the others are not up."""
    content = state.read()
    if content["state"] != "up":
        raise RehearsalError("the hosts are not up", "", "python -m rehearsal up")
    engine = up.ready_engine(shell)
    hosts.remove(shell, engine.docker, host)
    maker = up.Maker(shell, engine)
    tag = maker.host(host.image)
    subnet, public_key = state.subnet(), trust.ssh_key(paths.STATE / "ssh_key")
    key = hosts.bring_up(shell, engine, host, tag, subnet, state.owner(), None, public_key, [])
    with (paths.STATE / "known_hosts").open("r+") as known:
        others = [line for line in known if f"]:{host.ssh_port}," not in line]
        known.seek(0)
        known.truncate()
        known.writelines([*others, hosts.known_hosts({host.name: key}, [host], subnet)])
    config = paths.STATE / "ssh_config"
    block = f"Host {host.name} {host.fqdn}\n  HostName 127.0.0.1\n  Port {host.ssh_port}\n"
    if block not in config.read_text():
        config.write_text(block + config.read_text())
    content["hosts"] |= state.status("up", [host], subnet, content["started"])["hosts"]
    state.write(content)


def remove(shell: Shell, name: str) -> None:
    """Removes a host on demand and its volume. Raises RehearsalError for another one, or when it does not go."""
    host = next((one for one in plan.ON_DEMAND if one.name == name), None)
    if host is None:
        names = " ".join(one.name for one in plan.ON_DEMAND)
        raise RehearsalError(f"{name} is no host on demand (these are: {names})", "", "python -m rehearsal down")
    client = engines.choose_client(shell)
    if client:
        hosts.remove(shell, client, host)
    content = state.read()
    content["hosts"].pop(name, None)
    if content["state"] != "down":
        state.write(content)
