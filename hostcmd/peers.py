"""Asks the hosts of a system, this one directly and the others over SSH, in parallel, each with a limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hostcmd import peer, run
from hostcmd.site import Site
from hostcmd.stop import FAILED, UNREACHABLE, Stop

CONNECT = 3  # seconds: as the gateway gives an application; a host of one's own network that takes longer is away
AT_ONCE = 16
QUICK = 20.0  # seconds for a request that starts and stops nothing


def words(site: Site, host: str) -> list[str]:
    """The command that reaches a host's `changeover peer`."""
    target = site.hosts[host]
    options = {
        "UserKnownHostsFile": site.path("/etc/changeover/known_hosts"),
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT,
        "ServerAliveInterval": 5,  # a host that is cut off in mid-request is noticed in 15 s
        "ServerAliveCountMax": 3,
    }
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    key = site.path("/etc/changeover/peer_key")
    return [
        "ssh",
        "-F",
        "none",
        "-i",
        key,
        *flags,
        "-p",
        str(target["port"]),
        f"changeover@{target['address']}",
        "peer",
    ]


def ask(site: Site, host: str, request: dict[str, Any], timeout: float = QUICK) -> dict[str, Any]:
    """One host's answer. Raises Stop: 5 when it cannot be reached, or what the host itself says."""
    request = {**request, "system": site.system}
    found = peer.answer(site.root, request) if host == site.me else _over_ssh(site, host, request, timeout)
    if not found.get("ok"):
        raise Stop(int(found.get("code", FAILED)), str(found.get("error")), str(found.get("next", "")))
    return found


def _over_ssh(site: Site, host: str, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    if host not in site.hosts:
        raise Stop(FAILED, f"host {host} is not in the settings", "run the deploy again: it writes them")
    result = run.run(words(site, host), root=site.root, timeout=timeout + CONNECT, feed=json.dumps(request))
    try:
        found = json.loads(result.out)
        if isinstance(found, dict):
            return found
    except ValueError:
        pass
    address = site.hosts[host]["address"]
    raise Stop(
        UNREACHABLE,
        f"{host} ({address}) cannot be reached from {site.me}: {run.last_line(result)}",
        f"on {site.me}: sudo ssh -F none -i /etc/changeover/peer_key "
        f"-o UserKnownHostsFile=/etc/changeover/known_hosts changeover@{address} peer </dev/null",
    )


def ask_all(
    site: Site, requests: Mapping[str, dict[str, Any]], timeout: float = QUICK
) -> tuple[dict[str, dict[str, Any]], dict[str, Stop]]:
    """The answers of several hosts, and what went wrong with the others."""

    def one(host: str) -> dict[str, Any] | Stop:
        try:
            return ask(site, host, requests[host], timeout)
        except Stop as stop:
            return stop

    if not requests:
        return {}, {}
    with ThreadPoolExecutor(min(AT_ONCE, len(requests))) as pool:
        found = dict(zip(requests, pool.map(one, requests), strict=True))
    good = {host: value for host, value in found.items() if not isinstance(value, Stop)}
    bad = {host: value for host, value in found.items() if isinstance(value, Stop)}
    return good, bad
