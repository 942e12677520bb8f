"""Which image each release is, to the byte, and which releases' images stay on the hosts. Pure.

`images` says what was written down when a release was staged: {release: {service: "repo:tag@sha256:..."}}; `tried` the
releases in there, oldest first; `lived` those that were confirmed, oldest first.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping

from hostcmd.state import State
from hostcmd.stop import USAGE, Stop

PINNED = re.compile(r"([a-z][a-z0-9_]{0,30})=(\S+@sha256:[0-9a-f]{64})")
MEMORY = 10  # releases that are written down at least, also when fewer are kept


def parse(words: Iterable[str]) -> dict[str, str]:
    """{service: image} of words such as api=repo:1.1.0@sha256:... Raises Stop (2)."""
    found = {}
    for word in words:
        match = PINNED.fullmatch(word)
        if not match:
            raise Stop(USAGE, f"--image {word}: must be SERVICE=IMAGE@sha256:DIGEST", "changeover stage --help")
        found[match[1]] = match[2]
    return found


def plain(image: str) -> str:
    """An image's name without its digest."""
    return image.partition("@")[0]


def recorded(state: State, release: str, images: Mapping[str, str], keep: int) -> State:
    """The release's images are written down. One that is written down already stays: a moved tag changes nothing."""
    if not images:
        return state
    new = copy.deepcopy(state)
    known = new["images"].setdefault(release, {})
    for service, image in images.items():
        if plain(known.get(service, "")) != plain(image):
            known[service] = image
    new["tried"] = [one for one in state["tried"] if one != release] + [release]
    for old in new["tried"][: -max(MEMORY, 2 * keep)]:
        if old not in kept(new, keep):
            _forget(new, old)
    return new


def _forget(state: State, release: str) -> None:
    state["images"].pop(release, None)
    state["tried"] = [one for one in state["tried"] if one != release]


def dropped(state: State, release: str | None) -> State:
    """A candidate that was never live is given up: staged again, its tag is looked at again."""
    if not release or release in state["lived"] or release in _in_slots(state):
        return state
    new = copy.deepcopy(state)
    _forget(new, release)
    return new


def confirmed(state: State, keep: int) -> State:
    """The live release counts among those that were live."""
    live = state["release"]["live"]
    return {**state, "lived": ([one for one in state["lived"] if one != live] + [live])[-keep:]}


def _in_slots(state: State) -> set[str]:
    return {slots[slot] for slots in state["slots"].values() for slot in ("blue", "green") if slots[slot]}


def kept(state: State, keep: int) -> set[str]:
    """Releases whose images stay: the last `keep` that were live, and whatever is live, before, or to come."""
    return {*state["lived"][-keep:], *filter(None, state["release"].values()), *_in_slots(state)}


def images(state: State, releases: Iterable[str]) -> set[str]:
    """The images of some releases."""
    return {image for release in releases for image in state["images"].get(release, {}).values()}


def superseded(state: State, keep: int) -> set[str]:
    """Images that no kept release is made of."""
    return images(state, set(state["images"]) - kept(state, keep))
