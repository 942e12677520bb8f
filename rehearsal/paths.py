"""Where the rehearsal keeps things: what dies with it (.rehearsal), and what is worth keeping (the cache)."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

STATE = ROOT / ".rehearsal"
"""Run-time state of this checkout's rehearsal; `down` removes it."""

OWNER = STATE.resolve().parent
"""The checkout whose hosts these are: where .rehearsal is a link, a second work tree uses the first one's."""

IMAGES = ROOT / "rehearsal" / "images"
"""Build contexts of the host and service images."""


def cache() -> Path:
    """The folder that outlives `down`: the base system's tar, the engine's pid and log, the lock."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "changeover"


def logs() -> Path:
    """The log of every command that ran, one file a step."""
    return STATE / "logs"


def make_private(folder: Path) -> Path:
    """Make a folder that only its owner reads, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
