"""The registry on ops1: who has what (HEAD), and pushes of what is missing."""

import http.client
import time

from . import plan
from .errors import RehearsalError
from .images import Image
from .shell import Shell

ACCEPT = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)


def push_address() -> str:
    """Where this machine's engine pushes."""
    return f"127.0.0.1:{plan.REGISTRY_PORT}"


def pull_address() -> str:
    """Where hosts pull from."""
    return f"ops1.{plan.DOMAIN}:5000"


def wait_until_ready(limit: float = 30) -> None:
    """Wait until the registry answers. Raises RehearsalError after `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if _head("/v2/")[0] == 200:
            return
        time.sleep(0.2)
    raise RehearsalError(
        f"the registry on {push_address()} does not answer after {limit:.0f} s",
        "",
        "docker exec changeover-ops1 journalctl -u docker-registry --no-pager",
    )


def marked(name: str, image: Image) -> str:
    """A second tag that carries the content's hash, so that a moved tag is noticed: pg17 -> pg17-3fa94c... Pure."""
    return f"{name}-{image.tag.rpartition(':')[2]}"


def digest(name: str) -> str | None:
    """The digest that the registry holds for repository:tag; None: it has none."""
    repository, _, tag = name.rpartition(":")
    status, value = _head(f"/v2/{repository}/manifests/{tag}")
    return value if status == 200 else None


def holds(image: Image) -> bool:
    """Whether the registry has all names of the image, with this very content."""
    for name in image.names:
        there = digest(name)
        if there is None or there != digest(marked(name, image)):
            return False
    return True


def push(shell: Shell, docker: str, image: Image) -> None:
    """Push an image under each of its names; the marked tag goes last and vouches for the plain one (limit 10 min)."""
    for name in image.names:
        for target in (name, marked(name, image)):
            full = f"{push_address()}/{target}"
            shell.run([docker, "tag", image.tag, full], image.log, 30)
            try:
                shell.run([docker, "push", full], image.log, 600, next_command="python -m rehearsal up")
            finally:
                # Only the local tag by content is kept: one name, one meaning.
                shell.ask([docker, "rmi", "--no-prune", full])


def _head(path: str) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", plan.REGISTRY_PORT, timeout=5)
    try:
        connection.request("HEAD", path, headers={"Accept": ACCEPT})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Docker-Content-Digest")
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
