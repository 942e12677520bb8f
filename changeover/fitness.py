"""Whether a host can take its part: each finding is the fact, then the command that mends it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import median

from changeover import look
from changeover.held import port_findings
from changeover.live import Live
from changeover.look import TOOLS, Access, Look
from changeover.plan import Plan
from changeover.settings import Postgres
from changeover.stack import rolls_out
from changeover.words import octets

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
MIN_DISK = 4096  # MiB for the engine: images of two releases
MIN_OTHER = 512  # MiB on other file systems: settings, journals, state
MIN_PYTHON = (3, 10)
MIN_ENGINE = (25, 0)  # the first that knows start_interval of a health check
MIN_COMPOSE = (2, 21)
MAX_SKEW = 5.0  # seconds: records, certificates, tokens and points in time of a restore go by the hosts' clocks
PATH = ("/usr/local/bin", "/usr/sbin", "/usr/bin")
HOSTNAME = re.compile(r"(?!localhost)[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
COMPOSE = {"docker": "docker-compose-plugin", "debian": "docker-compose"}
OTHER_ENGINE = {"docker": "docker.io", "debian": "docker-ce"}
MIB = 1024**2


def may_look(access: Access | None, by_sudo: bool) -> bool:
    """Whether a host can be looked at as root. Arguments as in entry."""
    return access is not None and (not by_sudo or access.sudo == "yes")


def entry(access: Access | None, by_sudo: bool) -> list[str]:
    """Why a run could not even look at a host; empty when it can. Argument: whether it becomes root by sudo."""
    if access is None:
        return ["does not answer as a shell does; does its login shell print something by itself? see: ssh HOST true"]
    found = []
    if access.os and access.version not in SUPPORTED.get(access.os, ()):
        found.append(f"is {access.os} {access.version}; known are Debian 12 and 13, Ubuntu 22.04 and 24.04")
    if not access.os:
        found.append("does not tell its operating system; known are Debian 12 and 13, Ubuntu 22.04 and 24.04")
    if not access.python:
        found.append("has no python3; run: sudo apt-get install -y python3")
    elif _version(access.python) < MIN_PYTHON:
        found.append(f"python3 is {access.python}, 3.10 or newer is needed; see: command -v python3")
    if not may_look(access, by_sudo):
        user = access.user or "the user"
        rule = f"echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}"
        if "not found" in access.sudo or not access.sudo:
            more = "" if access.uid == "0" else f" && {rule}"
            found.append(f"has no sudo; run there as root: apt-get install -y sudo{more}")
        else:
            found.append(f"{user} may not use sudo without a password ({access.sudo}); run there as root: {rule}")
    return found


def packaged(plan: Plan, access: Access | None) -> list[str]:
    """Why the engine that the settings ask for cannot be had on a host; empty when it can."""
    if not access or plan.fleet.docker_source != "debian" or (access.os, access.version) != ("debian", "12"):
        return []
    return [
        "Debian 12's own packages have engine 20.10 and no compose v2; take Docker's repository: write "
        "docker_source='docker' into fleet in group_data/all.py"
    ]


def findings(plan: Plan, name: str, here: Look, live: Mapping[str, Live]) -> list[str]:
    """What speaks against a host. Arguments: the plan; its name; how it looks; what is live of its systems."""
    return [
        *_system(here),
        *_engine(plan, here),
        *_disk(here),
        *_memory(plan, name, here, live),
        *_address(plan, name, here),
        *port_findings(plan, name, here),
        *_web_servers(plan, name, here),
        *_databases(plan, name, here),
        *_registries(here),
    ]


def _system(here: Look) -> Iterable[str]:
    if here.uid:
        yield "a run is not root there; write _sudo = True into the environment's file in group_data"
    if lost := [folder for folder in PATH if folder not in here.path.split(":")]:
        yield f"the PATH of root lacks {' '.join(lost)} (it is {here.path}); mend secure_path: sudo visudo"
    if not here.systemd:
        yield "runs without systemd; take a host that boots with it"
    if not HOSTNAME.fullmatch(here.hostname):
        yield f"its hostname is {here.hostname!r}; name it: sudo hostnamectl set-hostname NAME"
    elif not here.resolves:
        line = f"echo '127.0.1.1 {here.hostname}' | sudo tee -a /etc/hosts"
        yield f"its hostname {here.hostname} does not resolve, and each sudo waits for that; run: {line}"
    if here.lacks and not lost:
        names = " ".join(dict.fromkeys(TOOLS.get(tool, tool) for tool in here.lacks))
        yield f"has no {' '.join(here.lacks)}; run: sudo apt-get install -y {names}"
    if here.broken:
        yield f"dpkg left {' '.join(here.broken)} half-way; run: sudo dpkg --configure -a"


def _engine(plan: Plan, here: Look) -> Iterable[str]:
    source, running = plan.fleet.docker_source, sum(one.running for one in here.containers)
    other, compose = OTHER_ENGINE[source], COMPOSE[source]
    if "podman-docker" in here.packages:
        yield "its docker is podman's stand-in; run: sudo apt-get remove -y podman-docker"
    elif here.engine.path not in ("", "/usr/bin/docker"):
        way = "sudo snap remove docker" if "snap" in here.engine.path else f"sudo mv {here.engine.path} /root/"
        yield f"its docker is {here.engine.path}, of no package that is known here; run: {way}"
    elif other in here.packages:
        wanted = "debian" if source == "docker" else "docker"
        yield (
            f"has {other}, which fleet.docker_source {source!r} would replace, stopping {running} containers; set it "
            f"to {wanted!r}, or, when they may stop: sudo apt-get remove -y {other}"
        )
    elif here.engine.version and _version(here.engine.version) < MIN_ENGINE:
        yield (
            f"its engine is {here.engine.version}, 25.0 or newer is needed; when its {running} containers may stop: "
            f"sudo apt-get update && sudo apt-get install -y {'docker-ce' if source == 'docker' else 'docker.io'}"
        )
    elif compose in here.packages and _version(here.packages[compose]) < MIN_COMPOSE:
        version = here.packages[compose]
        yield f"its compose is {version}, 2.21 or newer is needed; run: sudo apt-get install -y {compose}"


def _disk(here: Look) -> Iterable[str]:
    for number, (path, free) in enumerate(here.disks.items()):
        needed = MIN_OTHER if number else MIN_DISK  # the first one is the engine's
        if free < needed:
            look = "run: sudo docker image prune -a; or see" if not number and here.engine.version else "see"
            yield f"{free} MiB free for {path}, {needed} are needed; {look}: sudo du -xh {path} | sort -h | tail"


def _memory(plan: Plan, name: str, here: Look, live: Mapping[str, Live]) -> Iterable[str]:
    limits: dict[str, int] = {}
    starting = 0
    if plan.fleet.gateway.on in plan.hosts[name].groups:
        limits["fleet.gateway"] = octets(plan.fleet.gateway.memory)
    for system in look.systems(plan, name):
        switched = plan.switched(system)
        both = plan.systems[system].release.strategy != "recreate"
        starts = system in live and rolls_out(plan, system, live[system])
        for key, service in plan.services_on(system, name).items():
            path = f"{system}.services.{key}"
            if service.cpus > here.cpus:
                yield f"{path}.cpus is {service.cpus}, the host has {here.cpus}; write less, or take a larger host"
            limits[path] = octets(service.memory) * (2 if both and key in switched else 1)
            if starts and (key in switched or live[system].release.live is None):
                starting += octets(service.memory_reserve)
    own = octets(plan.fleet.memory_reserve) // MIB
    over, most = sum(limits.values()), (here.memory - own) * MIB * plan.fleet.memory_overcommit
    if over > most:
        most_of = ", ".join(
            f"{path} {size // MIB}M" for path, size in sorted(limits.items(), key=lambda one: -one[1])[:3]
        )
        yield (
            f"memory limits add up to {over // MIB}M with both slots up (most: {most_of}), the host has "
            f"{here.memory}M, {own}M of it its own (fleet.memory_reserve); lower them, move a service, or allow it: "
            "fleet.memory_overcommit"
        )
    if starting > here.available * MIB:
        yield (
            f"{here.available}M of memory are free, what starts keeps {starting // MIB}M (memory_reserve); "
            "see: ps aux --sort=-rss | head"
        )


def _address(plan: Plan, name: str, here: Look) -> Iterable[str]:
    address = plan.hosts[name].address
    if address not in here.addresses:
        has = " ".join(here.addresses) or "none"
        yield f"address {address} of the inventory is not the host's own, it has {has}; see: ip -br address"


def _web_servers(plan: Plan, name: str, here: Look) -> Iterable[str]:
    """One that does not listen now takes the gateway's port at the next boot."""
    if plan.fleet.gateway.on in plan.hosts[name].groups:
        listening = {one.unit for one in here.held}
        for unit in (one for one in here.boot if one not in listening):
            yield f"{unit} starts at boot and would take the gateway's ports; run: sudo systemctl disable --now {unit}"


def _databases(plan: Plan, name: str, here: Look) -> Iterable[str]:
    """PostgreSQL does not start on the data of another major version; by then the one that served is stopped."""
    for system in look.systems(plan, name):
        there = here.majors.get(f"{system}_data")
        for key, service in plan.services_on(system, name).items():
            if there and isinstance(service, Postgres) and there != str(service.major):
                fact = f"the data of {system}.services.{key} are PostgreSQL {there}'s, and major is {service.major}"
                yield f"{fact}; write {there} again: another major is a dump and a restore"


def _registries(here: Look) -> Iterable[str]:
    for registry, why in here.silent.items():
        there = registry.removeprefix("registry-1.")
        names = [one for one in here.missing if one.startswith(f"{there}/")] or here.missing
        yield (
            f"does not reach the registry {there} ({why}), and has not yet: {', '.join(names)}; "
            f"try there: curl -sS https://{registry}/v2/"
        )


def together(looks: Mapping[str, Look]) -> dict[str, list[str]]:
    """{host: findings} that only all hosts together show: clocks, and names that are there twice."""
    found: dict[str, list[str]] = {name: [] for name in looks}
    owner: dict[str, str] = {}
    for name, here in looks.items():
        if owner.setdefault(here.hostname, name) != name:
            way = f"name it: sudo hostnamectl set-hostname {name}"
            found[name].append(f"its hostname {here.hostname} is {owner[here.hostname]}'s too; {way}")
    for name, line in _clocks(looks):
        found[name].append(line)
    return found


def _clocks(looks: Mapping[str, Look]) -> Iterable[tuple[str, str]]:
    """Hosts whose clock is not that of the others; or this machine's, where all hosts agree on another time."""
    if not looks:
        return
    middle = median(here.skew for here in looks.values())
    off = {name: here for name, here in looks.items() if _off(here.skew, here.unsure)}
    if len(off) == len(looks) > 1 and not any(_off(here.skew - middle, here.unsure) for here in looks.values()):
        here_is = f"the control machine's clock is {_seconds(-middle)} all {len(looks)} hosts'"
        yield next(iter(looks)), f"{here_is}; set it right: sudo chronyc makestep, or timedatectl set-ntp true"
        return
    for name, here in off.items():
        others = f", {_seconds(here.skew - middle)} the hosts' middle" if len(looks) > 1 else ""
        yield (
            name,
            f"its clock is {_seconds(here.skew)} the control machine's{others}; run: sudo apt-get install -y "
            "chrony && sudo chronyc makestep",
        )


def _off(skew: float, unsure: float) -> bool:
    return abs(skew) - unsure > MAX_SKEW


def _seconds(skew: float) -> str:
    return f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'}"


def _version(text: str) -> tuple[int, ...]:
    """The first two numbers of a version, an epoch aside."""
    return tuple(int(part) for part in re.findall(r"\d+", text.rpartition(":")[2])[:2])
