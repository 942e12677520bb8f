"""The Debian base system under every image: pulled where a registry has it, made by mmdebstrap where not."""

import os
import shutil
from pathlib import Path

from . import engine as engines
from . import paths
from .errors import RehearsalError
from .shell import Shell

SUITE = "trixie"
OLD_SUITE = "bookworm"  # what a team may still have
INCLUDE = "ca-certificates"
# Manuals and translations are never read in a rehearsal; fsync at every unpacked file costs minutes in all.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "force-unsafe-io",
)


def uris(sources: str) -> list[str]:
    """Archive addresses in apt sources text, of both formats (deb822 and one-line), in order, none twice. Pure."""
    found: dict[str, None] = {}
    for line in sources.splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0] == "URIs:":
            found.update(dict.fromkeys(words[1:]))
        elif words[0] == "deb":
            found.update(dict.fromkeys([word for word in words[1:] if "://" in word][:1]))
    return list(found)


def apt_lines(addresses: list[str], suite: str = SUITE) -> list[str]:
    """The hosts' apt sources: the machine's own Debian archive, and its security archive if it has one. Pure."""
    trimmed = [address.rstrip("/") for address in addresses]
    main = [a for a in trimmed if a.endswith("/debian")][:1]
    security = [a for a in trimmed if a.endswith("-security") or a.endswith("/security")][:1]
    return [f"deb {a} {suite} main" for a in main] + [f"deb {a} {suite}-security main" for a in security]


def machine_sources(root: Path = Path("/etc/apt")) -> str:
    """The text of this machine's apt sources; empty where there is no apt."""
    files = [
        root / "sources.list",
        *sorted(root.glob("sources.list.d/*.sources")),
        *sorted(root.glob("sources.list.d/*.list")),
    ]
    return "\n".join(file.read_text() for file in files if file.is_file())


def recipe(suite: str = SUITE) -> str:
    """What a self-made base image depends on, as text to hash."""
    return "\n".join([suite, INCLUDE, *DPKG_OPTIONS, *apt_lines(uris(machine_sources()), suite)])


def make(shell: Shell, docker: str, tag: str, suite: str = SUITE) -> None:
    """Make the base image `tag` of a Debian suite with mmdebstrap (its tar is cached) and `docker import`.

    Raises RehearsalError when this machine is no Debian or we are not root: there a registry has to be reachable.
    """
    tar = paths.cache() / f"base-{tag.rpartition(':')[2]}.tar"
    if not tar.exists():
        lines = apt_lines(uris(machine_sources()), suite)
        if not lines or engines.missing(os.geteuid(), Path("/etc/debian_version").exists(), True):
            raise RehearsalError(
                "no base image: no image registry answers, and this is not Debian with root",
                "The base system is pulled from a registry, or made from this machine's Debian archive.",
                "CHANGEOVER_REHEARSAL_IMAGES=pull python -m rehearsal up",
            )
        if shutil.which("mmdebstrap") is None:
            engines.apt_install(shell, ["mmdebstrap"], "base")
        part = tar.with_suffix(".part.tar")
        part.unlink(missing_ok=True)
        options = [f"--dpkgopt={option}" for option in DPKG_OPTIONS]
        shell.run(
            ["mmdebstrap", "--variant=minbase", f"--include={INCLUDE}", *options, suite, str(part), *lines],
            "base",
            600,
            next_command="python -m rehearsal up --verbose",
        )
        part.rename(tar)
    shell.run([docker, "import", "--change", 'CMD ["bash"]', str(tar), tag], "base", 180)
