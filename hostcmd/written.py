"""The state of a system as this host has it written down."""

from __future__ import annotations

import os

from hostcmd import durable
from hostcmd.site import Site
from hostcmd.state import State, parse
from hostcmd.stop import PERSON, Stop


def state(site: Site) -> State:
    """What state.json says; a system that was never installed where there is none. Raises Stop (6), OSError.

    The audit is written after the first state.json: where there is one without the other, the state was lost. Taken
    for a first installation, the next release would be given the slot that has the traffic.
    """
    path = site.kept("state.json")
    try:
        text = durable.read(path)
    except ValueError as error:
        return parse(f"no text: {error}")
    if text is None and _length(site.kept("audit.jsonl")):
        fact = f"{path} on {site.me} is gone, and the audit beside it knows of changes"
        then = f"copy {path} from another host of {site.system}, then: changeover recover {site.system}"
        raise Stop(PERSON, fact, then)
    return parse(text)


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
