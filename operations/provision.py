"""A Debian or Ubuntu host gets its container engine (S1, prerequisites)."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, deploy, operation
from pyinfra.facts.server import LinuxDistribution
from pyinfra.operations import apt, files

from changeover.files import Directory, File, render
from changeover.settings import Fleet
from facts.host import AptKnows
from operations import units
from operations.files import tree

PACKAGES = {
    "debian": ["docker.io", "docker-cli", "docker-compose", "docker-buildx"],
    "docker": ["docker-ce", "docker-ce-cli", "containerd.io", "docker-compose-plugin", "docker-buildx-plugin"],
}
DAEMON = {
    "live-restore": True,  # containers outlive a restart of the engine
    "log-driver": "local",
    "log-opts": {"max-size": "20m", "max-file": "5"},
}
UNITS = {"docker.service": ["/etc/docker/daemon.json"]}
KEYRING = "/etc/apt/keyrings/docker.asc"
# SHA-256 of Docker's signing key as published at https://download.docker.com/linux/debian/gpg
KEY_DIGEST = "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570"


@deploy("provision")
def engine(fleet: Fleet) -> None:
    """Engine and compose. Argument: the shared settings."""
    if fleet.docker_source == "docker":
        docker_repository()
    apt.packages(
        name="engine and compose packages",
        packages=PACKAGES[fleet.docker_source],
        update=True,
        cache_time=86400,
        no_recommends=True,
    )
    tree(
        name="settings of the engine",
        files=[File("/etc/docker/daemon.json", daemon_json(fleet.daemon))],
        check_root="/etc/docker",
        check_command=["dockerd", "--validate", "--config-file", "{}/daemon.json"],
    )
    units.ready(name="the engine runs, and after a reboot", running=UNITS)


@deploy("docker repository")
def docker_repository() -> None:
    """Docker's apt repository, its key pinned by digest (https://docs.docker.com/engine/install/debian/)."""
    distribution: Any = host.get_fact(LinuxDistribution)
    release = distribution["release_meta"]
    apt.packages(name="certificates of public authorities", packages=["ca-certificates"], update=True, cache_time=86400)
    tree(name="folder of signing keys", files=[], directories=[Directory("/etc/apt/keyrings")])
    files.download(
        name="signing key of Docker's repository",
        src=f"https://download.docker.com/linux/{release.get('ID', 'debian')}/gpg",
        dest=KEYRING,
        sha256sum=KEY_DIGEST,
    )
    tree(
        name="Docker's repository",
        files=[
            File(
                "/etc/apt/sources.list.d/docker.sources",
                render(
                    "docker/docker.sources.j2",
                    distribution=release.get("ID", "debian"),
                    suite=release.get("VERSION_CODENAME", "trixie"),
                    keyring=KEYRING,
                ),
            )
        ],
    )
    known(name="the repository's packages are known", package=PACKAGES["docker"][0])


@operation()
def known(package: str) -> Generator[StringCommand]:
    """
    apt knows a package; a list that is young but older than a new repository does not hold it.

    + package: its name
    """
    if host.get_fact(AptKnows, package=package):
        host.noop(f"apt knows {package}")
        return
    yield StringCommand("apt-get update -q")


def daemon_json(extra: dict[str, Any]) -> str:
    """The engine's settings: ours, and the team's on top."""
    return json.dumps({**DAEMON, **extra}, indent=2, sort_keys=True) + "\n"
