"""This host's gateway: `live` is a symlink to a generation directory of empty files `<service>.<slot>`.

At a weighted step a service has more than one: `api.blue`, and `api.green_25` for the clients of step 25.

nginx looks at it with each request, so renaming the symlink is the switch, and nothing reloads (facts: 0 failed of
20,297 requests). A file `maintenance` beside it turns the maintenance page on.
"""

from __future__ import annotations

import os
import shutil

from hostcmd import durable
from hostcmd.site import Site
from hostcmd.stop import STALE, Stop

KEEP = 5


def folder(site: Site, name: str = "") -> str:
    """A path in the system's slots folder."""
    return site.path(os.path.join(site.slots_dir, name)).rstrip("/")


def current(site: Site) -> int:
    """The generation that is served; 0 for none."""
    try:
        return int(os.readlink(folder(site, "live")))
    except (FileNotFoundError, ValueError):
        return 0


def marks(site: Site, generation: int) -> dict[str, str] | None:
    """{service: its marks, joined by +} of a generation; None when there is no such."""
    try:
        names = os.listdir(folder(site, str(generation)))
    except FileNotFoundError:
        return None
    found: dict[str, str] = {}
    for service, _, mark in (name.rpartition(".") for name in sorted(names)):
        found[service] = f"{found[service]}+{mark}" if service in found else mark
    return found


def prepare(site: Site, generation: int, wanted: dict[str, str]) -> None:
    """The directory of a generation is there, whole and durable; nothing looks at it yet. Raises Stop (4)."""
    if marks(site, generation) == wanted:
        return
    if generation <= current(site):
        fact = f"generation {generation} is not newer than {current(site)}, which {site.me} serves"
        raise Stop(STALE, fact, f"changeover status {site.system}")
    durable.make_folder(folder(site))
    new = folder(site, f".{generation}.new")
    shutil.rmtree(new, ignore_errors=True)
    os.mkdir(new, 0o755)
    for name in [f"{service}.{mark}" for service, marks in wanted.items() for mark in marks.split("+")]:
        handle = os.open(os.path.join(new, name), os.O_WRONLY | os.O_CREAT, 0o644)
        os.fsync(handle)
        os.close(handle)
    durable.sync_folder(new)
    shutil.rmtree(folder(site, str(generation)), ignore_errors=True)
    os.replace(new, folder(site, str(generation)))
    _link(site, generation)
    durable.sync_folder(folder(site))


def _link(site: Site, generation: int) -> str:
    """The symlink that flip() renames: made beforehand, because renaming works on a full disk too."""
    link = folder(site, f".live.{generation}")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(str(generation), link)
    return link


def flip(site: Site, generation: int) -> None:
    """A prepared generation is served. Raises Stop (4) for one that is older than what is served."""
    now = current(site)
    if now == generation:
        return
    if generation < now:
        fact = f"generation {generation} is older than {now}, which {site.me} serves"
        raise Stop(STALE, fact, f"changeover status {site.system}")
    link = folder(site, f".live.{generation}")
    if not os.path.lexists(link):
        link = _link(site, generation)
    os.replace(link, folder(site, "live"))
    durable.sync_folder(folder(site))


def maintenance(site: Site, text: str | None) -> None:
    """The maintenance page is on, with a file that says why, or off (None)."""
    path = folder(site, "maintenance")
    if text is None:
        durable.remove(path)
    elif durable.read(path) != text:
        durable.make_folder(folder(site))
        durable.write(path, text)


def tidy(site: Site, generation: int) -> None:
    """Removes generations after `generation` (prepared and given up), and all but the last few before it."""
    try:
        names = os.listdir(folder(site))
    except FileNotFoundError:
        return
    serving = current(site)
    numbers = sorted(int(name) for name in names if name.isdigit())
    kept = {serving, *[number for number in numbers if number <= generation][-KEEP:]}
    for number in numbers:
        if number not in kept:
            shutil.rmtree(folder(site, str(number)), ignore_errors=True)
    for name in names:
        if name.startswith(".live."):
            os.unlink(folder(site, name))
        elif name.startswith("."):
            shutil.rmtree(folder(site, name), ignore_errors=True)
