"""What preflight asks of a host, and what comes back. Pure; facts/fitness.py carries it, fitness.py judges it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from changeover import gateway
from changeover.live import Live
from changeover.pins import images, unpinned, written_down
from changeover.plan import Plan
from changeover.settings import App
from changeover.stack import image, wanted_release

TOOLS = {  # what operations call on a host -> the package that brings it
    "apt-get": "apt",
    "systemctl": "systemd",
    "visudo": "sudo",
    "ssh-keygen": "openssh-client",
    "sha256sum": "coreutils",
    "hostname": "hostname",
}
WEB_SERVERS = ("nginx", "apache2", "caddy", "haproxy", "lighttpd", "traefik")


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Access(_Part):
    """Who a run is on a host before it is root. `sudo`: yes, or what sudo said; `python`: its version, or nothing."""

    os: str = ""
    version: str = ""
    uid: str = ""
    user: str = ""
    path: str = ""
    sudo: str = ""
    python: str = ""


class Engine(_Part):
    """Where the engine's client is, and the version of the engine that answers; nothing where there is none."""

    path: str = ""
    version: str = ""


class Container(_Part):
    """A container: who made it, and the (address, port) pairs that it has published while it runs."""

    id: str
    name: str
    project: str = ""
    folder: str = ""
    system: str = ""
    service: str = ""
    running: bool = True
    ports: list[tuple[str, int]] = []


class Held(_Part):
    """A process that listens at a port. `container`: the id of the one it runs in; pid 0: it was gone at once."""

    address: str
    port: int
    pid: int = 0
    who: str = ""
    unit: str = ""
    container: str = ""


class Look(_Part):
    """A host as root sees it. Memory and free disk in MiB; `disks`: file system, by a path on it -> what is free.

    `broken`: packages that dpkg did not finish; `boot`: web servers of its own that start with it; `foreign`: files in
    our places that are not ours; `majors`: volume -> PostgreSQL's major version of the data in it; `missing`: images
    that are not here; `silent`: registry of those -> why it is not reached; `tags`: image -> its digest now, by the
    registry; `skew`, `unsure`: seconds that its clock is ahead of the control machine's, and how far that may be wrong.
    """

    uid: int
    path: str
    hostname: str
    resolves: bool = True
    memory: int
    available: int
    disks: dict[str, int] = {}
    cpus: int
    addresses: list[str] = []
    systemd: bool = True
    lacks: list[str] = []
    packages: dict[str, str] = {}
    broken: list[str] = []
    engine: Engine = Engine()
    containers: list[Container] = []
    held: list[Held] = []
    boot: list[str] = []
    foreign: list[str] = []
    majors: dict[str, str] = {}
    missing: list[str] = []
    silent: dict[str, str] = {}
    tags: dict[str, str] = {}
    skew: float = 0.0
    unsure: float = 0.0


class Wanted(_Part):
    """A host port that we publish: the address it is bound to, the key that says so, and whose it is."""

    address: str
    port: int
    path: str
    system: str
    service: str


def ports(plan: Plan, name: str) -> list[Wanted]:
    """The host ports that all systems of a host want there, whatever the run is limited to."""
    found = []
    me = plan.hosts[name]
    if plan.fleet.gateway.on in me.groups:
        for key in ("http_port", "https_port"):
            port, path = getattr(plan.fleet.gateway, key), f"fleet.gateway.{key}"
            found.append(Wanted(address="0.0.0.0", port=port, path=path, system="gateway", service=""))
    for system in systems(plan, name):
        for key, service in plan.services_on(system, name).items():
            path = f"{system}.services.{key}"
            own = {"publish": service.publish} if service.publish else {}
            if isinstance(service, App) and service.slots:
                own = {"slots.blue": service.slots.blue, "slots.green": service.slots.green}
            whose = {"system": system, "service": key}
            found += [Wanted(address=me.address, port=p, path=f"{path}.{where}", **whose) for where, p in own.items()]
            if plan.fleet.environment != "production":
                where = f"{path}.dev_ports"
                found += [Wanted(address="127.0.0.1", port=p, path=f"{where}.{p}", **whose) for p in service.dev_ports]
    return found


def systems(plan: Plan, name: str) -> list[str]:
    """All systems of a host, whatever the run is limited to."""
    return [system for system in plan.systems if system in plan.hosts[name].groups]


def folders(plan: Plan, name: str) -> dict[str, str]:
    """{compose project of ours on a host: its folder}."""
    found = {system: plan.run_dir(system) for system in systems(plan, name)}
    return found | ({"gateway": plan.fleet.gateway.run_dir} if plan.fleet.gateway.on in plan.hosts[name].groups else {})


def wanted_images(plan: Plan, name: str, live: Mapping[str, Live]) -> list[str]:
    """The images that this run needs on a host, as they were written down where they were."""
    found = [gateway.image(plan)] if plan.fleet.gateway.on in plan.hosts[name].groups else []
    for system in plan.systems_on(name):
        if system not in live:
            continue
        release = wanted_release(plan, system, live[system])
        released = images(plan, system, release)
        for key, service in plan.services_on(system, name).items():
            plain = released.get(key) or image(plan, system, key, service, release)
            found.append(live[system].pinned(release, key, plain))
    return list(dict.fromkeys(found))


def looked_up(plan: Plan, name: str, live: Mapping[str, Live]) -> list[str]:
    """Those of the images that are only tags of a release yet: which bytes they are is looked up by a later phase."""
    systems = [system for system in plan.systems_on(name) if system in live]
    return [image for system in systems for image in unpinned(plan, system, live[system]).values()]


def tags(plan: Plan, name: str, live: Mapping[str, Live]) -> list[str]:
    """Tags of the release's images, for the first host of each to ask the registry what they are now.

    Of those that were written down, whether they moved; of the others, whether they are there (a checklist's `images`).
    """
    found = [
        image.partition("@")[0]
        for system in plan.systems_on(name)
        if system in live
        for known in [{**written_down(plan, system, live[system]), **unpinned(plan, system, live[system])}]
        for service, image in known.items()
        if plan.hosts_of(system, service)[0].name == name
    ]
    return list(dict.fromkeys(found))  # api and worker may be one image


def question(plan: Plan, name: str, live: Mapping[str, Live], daemon: str) -> dict[str, Any]:
    """What a host is asked (facts/on_host/look.py). Arguments: plan; host; what is live; the engine's settings file."""
    composed = [f"{folder}/{file}" for folder in folders(plan, name).values() for file in COMPOSE_FILES]
    return {
        "ports": sorted({one.port for one in ports(plan, name)}),
        "images": wanted_images(plan, name, live),
        "looked_up": looked_up(plan, name, live),
        "tags": tags(plan, name, live),
        "foreign": [daemon, *composed],
        "engine_root": str(plan.fleet.daemon.get("data-root", "/var/lib/docker")),
        "tools": list(TOOLS),
        "units": [f"{server}.service" for server in WEB_SERVERS],
        "volumes": [f"{system}_data" for system in systems(plan, name)],
    }


COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
