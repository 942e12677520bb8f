"""The container engine: the one that is there, otherwise Debian's, installed and started by us."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import paths, plan
from .errors import RehearsalError
from .shell import LAST_LINES, Shell

PACKAGES = ("docker.io", "iptables")
START_LIMIT = 60.0
CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class Engine:
    """A running engine and the client to reach it with. `rights` is what a host container gets (plan.profile)."""

    docker: str
    version: str
    rights: tuple[str, ...]
    builder_env: dict[str, str]


def clients(path: str | None = None) -> list[str]:
    """Every docker client in PATH, first found first, no file twice."""
    found: dict[str, str] = {}
    for folder in (path or os.environ.get("PATH", "")).split(os.pathsep):
        candidate = shutil.which("docker", path=folder) if folder else None
        if candidate:
            found.setdefault(os.path.realpath(candidate), candidate)
    return list(found.values())


def can_build(has_buildx: bool, client_version: str) -> bool:
    """Whether a client can drive BuildKit: with the buildx plugin, or before 23.0, which had it built in."""
    major = client_version.split(".")[0]
    return has_buildx or (major.isdigit() and 18 < int(major) < 23)


def choose_client(shell: Shell) -> str | None:
    """The first docker client that can build with secrets (a newer static client often comes without buildx)."""
    for client in clients():
        buildx = shell.ask([client, "buildx", "version"])[0] == 0
        # Without an engine the format is refused by some versions; `--version` always answers.
        words = shell.ask([client, "--version"])[1].replace(",", "").split()
        if can_build(buildx, words[2] if len(words) > 2 else ""):
            return client
    return None


def ready(shell: Shell, start: bool = True) -> Engine | None:
    """The engine, started or installed when need be (never with `start=False`: then None when none answers).

    Raises RehearsalError when it cannot be had: what is missing, and how to get it.
    """
    client = choose_client(shell)
    if client is None or not answers(shell, client):
        if not start:
            return None
        with shell.progress.step("engine") as step:
            client = _install_and_start(shell, client)
            step.outcome = f"docker started (its log: {_file('dockerd.log')})"
    code, text = shell.ask([client, "info", "--format", "{{.CgroupVersion}} {{.ServerVersion}}"])
    cgroups, _, version = text.partition(" ")
    return Engine(
        client,
        version,
        plan.profile(cgroups, _may_sys_resource()),
        {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default", "BUILDKIT_PROGRESS": "plain"},
    )


def stop(shell: Shell) -> str:
    """End the engine if we started it. Returns a word on what happened."""
    pid = _our_pid()
    if pid is None:
        _file("dockerd.pid").unlink(missing_ok=True)
        return "left as it was (not started by us)"
    os.kill(pid, 15)
    end = time.monotonic() + START_LIMIT
    while _alive(pid, "dockerd") and time.monotonic() < end:
        time.sleep(0.2)
    if _alive(pid, "dockerd"):
        raise RehearsalError(f"dockerd (pid {pid}) did not stop within {START_LIMIT:.0f} s", "", f"kill -9 {pid}")
    _file("dockerd.pid").unlink(missing_ok=True)
    return f"stopped (pid {pid}, started by us)"


def is_ours() -> bool:
    """Whether the running engine was started by us."""
    return _our_pid() is not None


def missing(euid: int, debian: bool, has_client: bool) -> str:
    """What is missing when no engine answers and we may not install one (empty: we may). Pure."""
    if euid == 0 and debian:
        return ""
    if has_client:
        return (
            "A docker client is here but its engine does not answer, or this user may not reach it.\n"
            "Start Docker (Desktop), or join the docker group: sudo usermod -aG docker $USER, and log in again."
        )
    return (
        "Docker with BuildKit is missing and can only be installed by itself as root on Debian.\n"
        "Install Docker Engine or Docker Desktop with the buildx plugin, or run this as root on Debian 12 or later."
    )


def _install_and_start(shell: Shell, client: str | None) -> str:
    reason = missing(os.geteuid(), Path("/etc/debian_version").exists(), client is not None)
    if reason:
        raise RehearsalError("no container engine", reason, "docker info")
    if shutil.which("dockerd") is None or client is None:
        apt_install(shell, PACKAGES, "engine")
        client = choose_client(shell)
        if client is None:
            raise RehearsalError(
                "docker.io is installed, but no docker client here has BuildKit", "", "docker --version"
            )
    if _our_pid() is None:
        _start(shell)
    end = time.monotonic() + START_LIMIT
    while not answers(shell, client):
        if _our_pid() is None or time.monotonic() > end:
            log = _file("dockerd.log")
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
            raise RehearsalError("dockerd did not start", f"{tail}\n(whole log: {log})", "python -m rehearsal up")
        time.sleep(0.2)
    return client


def apt_install(shell: Shell, packages: Sequence[str], log: str) -> None:
    """Install Debian packages on this machine; waits for another apt (180 s)."""
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=180"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.run([*apt, "update"], log, 180, quiet, next_command="apt-get update")
    shell.run(
        [*apt, "install", "-y", "--no-install-recommends", *packages],
        log,
        600,
        quiet,
        next_command=f"apt-get install {' '.join(packages)}",
    )


def _start(shell: Shell) -> None:
    """Start dockerd in a session of its own, so that it outlives this command."""
    folder = paths.make_private(paths.cache())
    _clear_stale_pids()
    log = (folder / "dockerd.log").open("a")
    process = subprocess.Popen(
        ["dockerd", "--pidfile", str(folder / "docker.pid")],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd="/",
    )
    _file("dockerd.pid").write_text(str(process.pid))


def _clear_stale_pids() -> None:
    """Remove pid files of a killed engine: dockerd refuses to start when another process got the number since."""
    for file, name in (
        (_file("docker.pid"), "dockerd"),
        (Path("/var/run/docker/containerd/containerd.pid"), "containerd"),
    ):
        try:
            pid = int(file.read_text())
        except (OSError, ValueError):
            continue
        if not _alive(pid, name):
            file.unlink(missing_ok=True)


def answers(shell: Shell, client: str) -> bool:
    """Whether the engine behind a client answers (limit 20 s)."""
    code, text = shell.ask([client, "info", "--format", "{{json .ServerErrors}}"], limit=20)
    return code == 0 and json.loads(text or "null") in (None, [])


def _our_pid() -> int | None:
    try:
        pid = int(_file("dockerd.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _alive(pid, "dockerd") else None


def _alive(pid: int, name: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and Path(f"/proc/{pid}/comm").read_text().strip() == name
    except OSError:
        return False


def _may_sys_resource() -> bool:
    """Whether containers may get CAP_SYS_RESOURCE; an engine elsewhere (a laptop's VM) is taken to give it."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return True
    return bounding_set_has(status, CAP_SYS_RESOURCE)


def bounding_set_has(status: str, capability: int) -> bool:
    """Whether /proc/PID/status text shows a capability in the bounding set. Pure."""
    for text in status.splitlines():
        if text.startswith("CapBnd:"):
            return bool(int(text.split()[1], 16) >> capability & 1)
    return True


def _file(name: str) -> Path:
    return paths.cache() / name
