"""Who holds the ports, folders and names that are ours to be: a process, a container, somebody's files. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from changeover.look import Container, Held, Look, Wanted, folders, ports
from changeover.plan import Plan

DAEMON = "/etc/docker/daemon.json"  # ours would hide another data-root, and with it all containers
PROXY = "docker-proxy"


def port_findings(plan: Plan, name: str, here: Look) -> list[str]:
    """Everything on a host that is in our way. Arguments: the plan; the host's name; how it looks."""
    return list(dict.fromkeys([*_projects(plan, name, here), *_files(here), *_ports(plan, name, here)]))


def _projects(plan: Plan, name: str, here: Look) -> Iterable[str]:
    """A compose project is its name alone: containers of another folder would be taken for ours, and replaced."""
    ours = folders(plan, name)
    strangers: dict[tuple[str, str], list[str]] = {}
    for one in here.containers:
        if one.folder and one.project in ours and one.folder != ours[one.project]:
            strangers.setdefault((one.project, one.folder), []).append(one.name)
    for (project, folder), names in strangers.items():
        yield (
            f"compose project {project} is there already, of {folder} ({', '.join(names)}); give the system another "
            f"name, or end it: sudo docker compose --project-directory {folder} -p {project} down"
        )


def _files(here: Look) -> Iterable[str]:
    for path in here.foreign:
        if path == DAEMON:
            yield f"has a {path} of its own; put its keys into fleet.daemon, then: sudo mv {path} {path}.before"
        else:
            yield f"has a {path} that is not ours; is it still used? else: sudo mv {path} {path}.before"


def _ports(plan: Plan, name: str, here: Look) -> Iterable[str]:
    by_id = {one.id: one for one in here.containers}
    published = {port for one in here.containers if one.running for _, port in one.ports}
    for wanted in ports(plan, name):
        for one in here.containers:
            if one.running and any(_meets(wanted, ip, port) for ip, port in one.ports):
                yield from _container(plan, name, wanted, one)
        for held in here.held:
            if not _meets(wanted, held.address, held.port):
                continue
            if inside := by_id.get(held.container):
                yield from _container(plan, name, wanted, inside)
            elif held.who != PROXY or held.port not in published:
                yield _process(wanted, held)


def _meets(wanted: Wanted, address: str, port: int) -> bool:
    plain = address.removeprefix("::ffff:")
    return port == wanted.port and (plain in ("", "0.0.0.0", "::", wanted.address) or wanted.address == "0.0.0.0")


def _process(wanted: Wanted, held: Held) -> str:
    who = f"{held.who} (pid {held.pid}{f', {held.unit}' if held.unit else ''})" if held.pid else "nobody who shows"
    free = f"run: sudo systemctl disable --now {held.unit}" if held.unit else f"end it: sudo kill {held.pid}"
    way = "give it another port" if held.who.startswith("sshd") or not held.pid else f"{free}; or give it another port"
    return f"port {wanted.port} ({wanted.path}) is held by {who}; {way}"


def _container(plan: Plan, name: str, wanted: Wanted, one: Container) -> Iterable[str]:
    """Nothing when the container is the one that is to have the port, or one that this deploy itself puts in order."""
    ours = folders(plan, name)
    start = f"port {wanted.port} ({wanted.path}) is held by the container {one.name}"
    if one.project not in ours or one.folder != ours[one.project]:
        of = f" of {one.folder}" if one.folder else ""
        yield f"{start}{of}; run: sudo docker stop {one.name}; or give it another port"
    elif one.service and one.service not in plan.services_on(one.project, name):
        yield f"{start}, which the settings no longer have; run: sudo docker rm -f {one.name}"
