"""`down`: removes what `up` made, keeps what makes the next `up` quick, and says so."""

import shutil
from pathlib import Path

from . import engine as engines
from . import hosts, images, paths, plan
from .engine import Engine
from .errors import RehearsalError
from .shell import Shell


def down(shell: Shell, with_images: bool, force: bool) -> None:
    """Remove hosts, their volumes, network, .rehearsal, and the engine when we started it.

    `with_images`: the images, the registry's content and the cache too. `force`: another checkout's hosts too.
    """
    say = shell.progress.say
    # An engine that died keeps its containers: it is started once more to remove them, but never installed for that.
    engine = engines.ready(shell, start=shutil.which("dockerd") is not None and (paths.STATE.exists() or with_images))
    kept = ""
    if engine is None:
        say(" no container engine answers: no hosts to remove")
    else:
        others = remove_hosts(shell, engine, force)
        if with_images and not others:
            remove_images(shell, engine)
        elif not with_images:
            kept = sizes(shell, engine)
        with shell.progress.step("engine") as step:
            step.outcome = "left as it was (others' hosts run on it)" if others else engines.stop(shell)
    shutil.rmtree(paths.STATE, ignore_errors=True)
    if with_images:
        shutil.rmtree(paths.cache(), ignore_errors=True)
        say(" nothing is kept")
    elif kept:
        say(f" kept for a quick next `up`: {kept}\n remove that too: python -m rehearsal down --images")


def remove_hosts(shell: Shell, engine: Engine, force: bool) -> bool:
    """Remove this checkout's hosts (everybody's with `force`) and the network; returns whether others' are left."""
    found = hosts.containers(shell, engine.docker)
    here = str(paths.OWNER)
    mine = {name for name, row in found.items() if force or row["labels"].get("changeover.checkout") == here}
    for checkout in sorted({found[name]["labels"].get("changeover.checkout", "?") for name in found.keys() - mine}):
        shell.progress.say(f" left alone: the hosts of {checkout} (`python -m rehearsal down` there, or --force here)")
    with shell.progress.step("hosts") as step:
        for host in plan.HOSTS + plan.ON_DEMAND:
            if host.container in mine or not found:
                hosts.remove(shell, engine.docker, host)
        others = bool(found.keys() - mine)
        if not others:
            shell.ask([engine.docker, "network", "rm", plan.NETWORK])
        step.outcome = f"{len(mine)} removed, with their volumes" + ("" if others else " and the network")
    left = hosts.containers(shell, engine.docker).keys() & mine
    if left:
        names = " ".join(sorted(left))
        raise RehearsalError(f"could not remove {names}", "", f"docker rm --force {names}")
    return others


def remove_images(shell: Shell, engine: Engine) -> None:
    """Remove our images, the registry's content, and the build cache of an engine that is ours alone."""
    with shell.progress.step("images") as step:
        tags = sorted(images.local_tags(shell, engine.docker))
        if tags:
            shell.ask([engine.docker, "rmi", "--force", *tags], limit=180)
        shell.ask([engine.docker, "volume", "rm", "--force", plan.REGISTRY_VOLUME], limit=60)
        step.outcome = f"{len(tags)} images and the registry's content removed"
        if engines.is_ours():
            shell.ask([engine.docker, "builder", "prune", "--all", "--force"], limit=180)


def sizes(shell: Shell, engine: Engine) -> str:
    """What stays, with its size, in words."""
    rows = shell.ask([engine.docker, "system", "df", "--format", "{{.Type}} {{.Size}}"], limit=60)[1].splitlines()
    images_size = next((row.split()[-1] for row in rows if row.startswith("Images")), "?")
    files = sum(file.stat().st_size for file in paths.cache().rglob("*") if file.is_file())
    return f"images {images_size}, the registry's content, and {_megabytes(files)} in {_home(paths.cache())}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _home(path: Path) -> str:
    return str(path).replace(str(Path.home()), "~", 1)
