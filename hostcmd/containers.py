"""This host's containers, by Docker: look, start, stop. A slot is a compose service `<service>-<slot>`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hostcmd import run
from hostcmd.site import Site
from hostcmd.stop import FAILED, Stop

FORMAT = '{{.Names}}\t{{.State}}\t{{.Status}}\t{{.Label "changeover.release"}}'
ASK = 15.0  # seconds that a question to the engine may take
PULL = 60.0  # seconds more where an image may have to come first
POLL = 0.5
AT_ONCE = 8
LOG_LINES = 5
Look = dict[str, dict[str, Any]]


def parse(system: str, text: str) -> Look:
    """{service-slot: {state, healthy, release, status}} of the lines that `docker ps` prints in FORMAT."""
    found: Look = {}
    for line in text.splitlines():
        name, state, status, release = (line.split("\t") + [""] * 4)[:4]
        if name.startswith(f"{system}-") and name.endswith("-1"):
            found[name[len(system) + 1 : -2]] = {
                "state": state,
                # a container without a health check is taken to be well while it runs
                "healthy": state == "running"
                and not any(w in status for w in ("(unhealthy)", "(health: starting)")),
                "release": release or None,
                "status": status,
            }
    return found


def look(site: Site) -> Look:
    """All containers of the system on this host. Raises Stop (1) when the engine does not answer."""
    words = ["docker", "ps", "-a", "--no-trunc", "--filter", f"label=changeover.system={site.system}"]
    result = run.run([*words, "--format", FORMAT], root=site.root, timeout=ASK)
    if result.code:
        fact = f"the container engine on {site.me} does not answer: {run.last_line(result)}"
        raise Stop(FAILED, fact, f"on {site.me}: systemctl status docker")
    return parse(site.system, result.out)


def runs(site: Site, name: str) -> bool:
    """Whether a container runs that is no slot, by its whole name. Raises Stop (1) when the engine does not answer."""
    result = run.run(["docker", "ps", "-q", "--filter", f"name=^{name}$"], root=site.root, timeout=ASK)
    if result.code:
        fact = f"the container engine on {site.me} does not answer: {run.last_line(result)}"
        raise Stop(FAILED, fact, f"on {site.me}: systemctl status docker")
    return bool(result.out.strip())


def start(site: Site, name: str, release: str | None, *, fresh: bool, wait: float) -> None:
    """A slot runs with a release, and is healthy within `wait` seconds (0: not waited for).

    With `fresh` compose starts it, so that it is as compose.yaml says; without, an existing container is started as it
    is, which needs no registry and no file. Raises Stop (1).
    """
    limit = time.monotonic() + wait
    found = look(site).get(name)
    if (
        not found
        or found["state"] not in ("running", "restarting")
        or (fresh and found["release"] != release)
    ):
        if found and not fresh:
            words = ["docker", "start", f"{site.system}-{name}-1"]
        else:
            base = site.path(site.run_dir)
            words = ["docker", "compose", "--project-directory", base, "-f", f"{base}/compose.yaml"]
            words += ["up", "-d", "--no-deps", name]
        result = run.run(words, root=site.root, timeout=max(wait, ASK) + PULL)
        if result.code:
            raise Stop(
                FAILED, f"{name} on {site.me} does not start: {run.last_line(result)}", logs_of(site, name)
            )
    if wait:
        _healthy(site, name, release, limit, wait)


def _healthy(site: Site, name: str, release: str | None, limit: float, wait: float) -> None:
    while True:
        found = look(site).get(name, {"state": "gone", "healthy": False, "release": None, "status": "gone"})
        if release and found["release"] not in (None, release):
            fact = f"{name} on {site.me} is release {found['release']}, not {release}"
            raise Stop(FAILED, fact, "run the deploy again: it stages the release")
        if found["healthy"]:
            return
        if time.monotonic() >= limit:
            said = logs(site, name, LOG_LINES)
            fact = f"{name} on {site.me} is not healthy within {wait:.0f} s ({found['status']})"
            raise Stop(FAILED, f"{fact}; it said last:\n{said}" if said else fact, logs_of(site, name))
        time.sleep(POLL)


def stop(site: Site, name: str, grace: float) -> None:
    """A slot is stopped: asked to end, killed after `grace` seconds; a missing one is stopped. Raises Stop (1)."""
    found = look(site).get(name)
    if not found or found["state"] in ("exited", "created", "dead"):
        return
    words = ["docker", "stop", "-t", f"{grace:.0f}", f"{site.system}-{name}-1"]
    result = run.run(words, root=site.root, timeout=grace + ASK)
    if result.code:
        fact = f"{name} on {site.me} does not stop: {run.last_line(result)}"
        raise Stop(FAILED, fact, f"on {site.me}: docker stop {words[-1]}")


def stop_all(site: Site, graces: Mapping[str, float]) -> None:
    """Slots are stopped at the same time, each with its own grace in seconds. Raises Stop (1) when one fails."""
    if graces:
        with ThreadPoolExecutor(min(AT_ONCE, len(graces))) as pool:
            list(pool.map(lambda name: stop(site, name, graces[name]), graces))


def logs(site: Site, name: str, lines: int) -> str:
    """The last lines that a slot wrote; empty when there are none to be had."""
    words = ["docker", "logs", "--tail", str(lines), f"{site.system}-{name}-1"]
    result = run.run(words, root=site.root, timeout=ASK)
    return (result.out + result.err).strip() if result.code == 0 else ""


def logs_of(site: Site, name: str) -> str:
    """The command that shows a slot's last lines."""
    return f"changeover logs {site.system} {name.rpartition('-')[0]}"
