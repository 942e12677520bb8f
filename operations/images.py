"""A release's images, to the byte: its tags are looked up once, by one host each, and every host has them before a slot
is touched. What the tags meant is written down by the host command (hostcmd/kept.py), and holds from then on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation

from changeover.live import Live
from changeover.pins import found_too, unpinned, wanted
from changeover.plan import Plan
from operations import flow
from operations.ask import shell

FOUND: dict[str, dict[str, str]] = {}  # system -> {image: the same with its digest}, as looked up in this run
RECORDED: dict[str, dict[str, dict[str, str]]] = {}  # system -> Live.images, as staged in this run
PULL = 900  # seconds for one image
PULLED = re.compile(r"^Digest: (sha256:[0-9a-f]{64})$", re.MULTILINE)


def known(system: str, live: Live) -> Live:
    """What is live, with the images that were written down in this run: files are made when they are needed."""
    return live.model_copy(update={"images": RECORDED[system]}) if system in RECORDED else live


@deploy("images")
def looked_up(plan: Plan, system: str, name: str, live: Live) -> None:
    """Which images a release's tags are. Arguments: the plan; names of system and host; what is live.

    Each image is looked up by the first host that runs it: the control machine may not reach the registry.
    """
    images = unpinned(plan, system, live)
    first = {image: plan.hosts_of(system, service)[0].name for service, image in reversed(images.items())}
    mine = [image for image in dict.fromkeys(images.values()) if first[image] == name]
    if mine:
        name_ = flow.at_most(f"{system}: which images its tags are", PULL * len(mine))
        tagged(name=name_, system=system, images=mine)


@deploy("images")
def here(plan: Plan, system: str, name: str, live: Live) -> None:
    """This host has all images of the release, as looked up: written down they are later. Arguments as above."""

    def names() -> list[str]:
        return wanted(plan, system, name, found_too(plan, system, live, FOUND.get(system, {})))

    if names():
        pulled(name=f"{system}: its images are here", system=system, images=Late(names))


class Late:
    """A value that is made when an operation runs, and not printed."""

    def __init__(self, make: Any):
        self.make = make

    def __repr__(self) -> str:
        return "..."


@operation(is_idempotent=False)
def tagged(system: str, images: list[str]) -> Generator[FunctionCommand]:
    """
    The registry's word on what these tags are now; where it is silent, the image that is here.

    + system: its name
    + images: names with a tag
    """

    def look(state: Any, host: Any) -> bool:
        for image in images:
            pull, lines = shell(host, ["docker", "pull", image], PULL)
            found = PULLED.search("\n".join(lines))
            if not pull:
                there, kept = shell(host, ["docker", "image", "inspect", "-f", "{{json .RepoDigests}}", image], 60)
                if not there:
                    return flow.fail_here(host, refusal(host.name, image, lines))
                host.log_styled(f"{image}: the registry does not give it; what is here is taken", fg="yellow")
                found = digest_of(image, "\n".join(kept))
            if found:  # an image that never was in a registry has no digest; it keeps its tag
                FOUND.setdefault(system, {})[image] = f"{image}@{found[1]}"
        return True

    yield FunctionCommand(look, (), {})


def refusal(name: str, image: str, said: Sequence[str]) -> list[str]:
    """What a person reads when an image is not to be had. Arguments: the host; the image; what the engine said."""
    return [
        f"{name}: {image} cannot be pulled: {said[-1] if said else 'the engine says nothing'}",
        "nothing was touched; push the image, or see why the registry does not give it, then run the same again",
    ]


def digest_of(image: str, listed: str) -> re.Match[str] | None:
    """The digest (group 1) of a tag's repository among the RepoDigests that the engine lists; None: it lists none.

    The engine leaves out docker.io/ and its library/.
    """
    path, slash, last = image.rpartition("/")
    name = re.sub(r"^(index\.)?docker\.io/(library/)?", "", f"{path}{slash}{last.partition(':')[0]}")
    return re.search(f'"(?:docker\\.io/(?:library/)?)?{re.escape(name)}@(sha256:[0-9a-f]{{64}})"', listed)


@operation(is_idempotent=False)
def pulled(system: str, images: Late) -> Generator[StringCommand]:
    """
    Images are on this host; what is here is not asked for.

    + system: its name
    + images: gives their names
    """
    names = " ".join(map(shlex.quote, images.make()))
    lines = [
        f"{host.name}: $i cannot be pulled; nothing was touched",
        "is the registry away: run the same again. Are these bytes gone from it: release another version. Or have they",
        "been written down when this release was staged before: they count then, whatever its tag is now; to have that",
        f"forgotten, unless it is one of the last that were live: sudo changeover drain {system} --now",
    ]
    said = "; ".join(f'echo "{line}" >&2' for line in lines)
    yield StringCommand(
        f'for i in {names}; do docker image inspect "$i" >/dev/null 2>&1 || docker pull -q "$i" >/dev/null ||'
        f" {{ {said}; exit 1; }}; done"
    )
