"""The command `changeover` on every host of a system, and the ways by which its peers may ask it (CONTRACTS.md).

Each host has a key of its own. A peer logs in as the user `changeover`, whose key may run one command and nothing else.
"""

from __future__ import annotations

from collections.abc import Generator

from gevent.lock import Semaphore
from pyinfra import host, inventory
from pyinfra.api import StringCommand, deploy, operation

from changeover.files import Directory, File, render
from changeover.hostconfig import config
from changeover.live import parse
from changeover.plan import Plan
from facts.host import SystemState
from facts.peers import Keys, PeerKeys
from hostcmd.build import archive
from operations import units, users
from operations.ask import at_once
from operations.files import tree

BINARY = "/usr/local/bin/changeover"
ETC = "/etc/changeover"
USER = "changeover"
_keys: dict[str, Keys] = {}  # of hosts that have theirs
_lock = Semaphore()
HOME = "/var/lib/changeover/peer"
UNITS = "/etc/systemd/system"
AT_BOOT = {  # before the engine, and after it
    "changeover-gateway.service": "changeover/gateway.service.j2",
    "changeover-recover.service": "changeover/recover.service.j2",
}


@deploy("host command")
def installed(plan: Plan, name: str) -> None:
    """The command, its settings of every system of this host, and its key. Arguments: the plan; this host's name."""
    # The home is not made here: the folder is root's, see peers; the user would be given it back with each run.
    users.login(name="user that peers log in as", user=USER, shell="/bin/sh", home=HOME, system=True)
    systems = [system for system in plan.systems if system in plan.hosts[name].groups]
    tree(
        name="command, settings, recovery at boot",
        files=[
            File(BINARY, archive(), mode="755"),
            *(File(f"{ETC}/{system}.json", config(plan, system, name)) for system in systems),
            *(File(f"{UNITS}/{unit}", render(template, command=BINARY)) for unit, template in AT_BOOT.items()),
        ],
        directories=[Directory(ETC)],
    )
    units.ready(name="the gateway is put right at boot, and then the rest", enabled=list(AT_BOOT))
    key(name="key of its own", path=f"{ETC}/peer_key")


@deploy("host command")
def peered(plan: Plan, name: str) -> None:
    """The hosts of a system know each other's keys, and may ask each other. Arguments: the plan; this host's name."""
    groups = [system for system in plan.systems if system in plan.hosts[name].groups]
    others = [h.name for h in plan.hosts.values() if set(groups) & set(h.groups)]
    peers(name="peers know each other", addresses={other: plan.hosts[other].address for other in others})


@deploy("host command")
def follows(system: str, generation: int) -> None:
    """A host that is not the coordinator knows what is live. Arguments as in told."""
    told(name=f"{system}: it is known here what is live", system=system, generation=generation)


@operation()
def told(system: str, generation: int) -> Generator[StringCommand]:
    """
    This host knows what is live: one that is new to a running system, or was away, asks the coordinator.

    + system: its name
    + generation: that the coordinator serves; 0 while nothing is live
    """
    text = host.get_fact(SystemState, system=system)
    try:
        own = parse(text).generation
    except ValueError:
        own = -1  # a damaged copy is mended in the same way
    if own >= generation:
        host.noop("it knows what is live")
        return
    yield StringCommand(f"{BINARY} recover {system}")


@operation()
def key(path: str) -> Generator[StringCommand]:
    """
    This host has an SSH key of its own; the private half never leaves it.

    + path: where it lies
    """
    if host.get_fact(PeerKeys).public:
        host.noop("there is one")
        return
    yield StringCommand(f"rm -f {path} {path}.pub; ssh-keygen -q -t ed25519 -N '' -C changeover -f {path}")


def keys_of(names: list[str]) -> dict[str, Keys]:
    """The keys of these hosts. Each host is asked once in a run, and not by each peer: a hundred would ask 10,000."""
    with _lock:
        missing = {name: inventory.get_host(name) for name in names if name not in _keys}
        found = at_once(missing, lambda one: one.get_fact(PeerKeys))
        _keys.update({name: keys for name, keys in found.items() if keys.public and keys.host})  # else: not made yet
        return {name: _keys.get(name) or found[name] for name in names}


@operation()
def peers(addresses: dict[str, str]) -> Generator[StringCommand]:
    """
    The peers' keys may run `changeover peer` here and nothing else; their host keys are pinned.

    + addresses: name -> private address of all hosts that share a system with this one
    """
    found = keys_of(list(addresses))
    keys = [keys.public for keys in found.values() if keys.public]
    pins = [f"{addresses[name]} {keys.host}" for name, keys in found.items() if keys.host]
    yield from tree._inner(
        files=[
            File(f"{HOME}/.ssh/authorized_keys", render("changeover/authorized_keys.j2", keys=keys, command=BINARY)),
            File(f"{ETC}/known_hosts", render("changeover/known_hosts.j2", pins=pins)),
            File("/etc/sudoers.d/changeover", render("changeover/sudoers.j2", user=USER, command=BINARY), mode="440"),
        ],
        directories=[Directory(HOME), Directory(f"{HOME}/.ssh")],
        check_root="/etc/sudoers.d",
        check_command=["visudo", "-c", "-q", "-f", "{}/changeover"],
    )
