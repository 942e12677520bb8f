"""What a host does when the coordinator asks: one request, one answer, listed verbs only.

Reached over SSH with a key that can do nothing else; the coordinator calls the same for itself.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from typing import Any

from hostcmd import busy, containers, durable, gateway, state, written
from hostcmd.site import Site, fingerprint, load, systems
from hostcmd.site import root as base
from hostcmd.stop import PERSON, STALE, USAGE, Stop

Answer = dict[str, Any]
WAIT = 300.0  # seconds for a request that is under way
MOST = 1 << 22  # characters of a request


def main(words: Sequence[str]) -> int:
    """`changeover peer`: a request on stdin, its answer on stdout."""
    os.umask(0o022)
    try:
        request = json.loads(sys.stdin.read(MOST))
    except ValueError:
        request = {}
    print(json.dumps(answer(base(), request if isinstance(request, dict) else {})))
    return 0


def answer(root: str, request: dict[str, Any]) -> Answer:
    """The answer to a request. Errors are answers too: {"ok": false, "code", "error", "next"}."""
    here = ""
    try:
        verb = VERBS.get(str(request.get("verb")))
        if not verb:
            raise Stop(
                USAGE, f"no such request: {request.get('verb')!r} (listed: {', '.join(sorted(VERBS))})"
            )
        site = load(root, str(request.get("system")))
        here = f"{site.me}: "
        if "state" in request:  # of a coordinator that may know less than this host
            request = {**request, "state": state.whole(request["state"])}
        return {"ok": True, **verb(site, request)}
    except Stop as stop:
        return {"ok": False, "code": stop.code, "error": stop.fact, "next": stop.then}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return {
            "ok": False,
            "code": USAGE,
            "error": f"bad request ({type(error).__name__}: {error})",
            "next": "",
        }
    except OSError as error:
        return {"ok": False, "code": 1, "error": f"{here}{error}", "next": ""}


def copy_of_state(site: Site) -> dict[str, Any]:
    """This host's state.json."""
    return written.state(site)


def _own_seq(site: Site) -> int:
    """How new this host's state is. A damaged copy counts as none, and the next one mends it."""
    return int(_own(site)["seq"])


def _own(site: Site) -> dict[str, Any]:
    try:
        return copy_of_state(site)
    except Stop:
        if site.coordinates:
            raise
        return state.EMPTY


def _look(site: Site, request: dict[str, Any]) -> Answer:
    own = _own(site)
    found: Answer = {"seq": own["seq"], "containers": containers.look(site), "gateway": None}
    found |= {"generation": own["generation"], "settings": fingerprint(site)}
    if release := request.get("images"):
        found["missing"] = _images(site, request)["missing"].get(str(release))
    if site.me in site.gateways:
        serving = gateway.current(site)
        on = os.path.exists(gateway.folder(site, "maintenance"))
        found["gateway"] = {
            "generation": serving,
            "live": gateway.marks(site, serving) or {},
            "maintenance": on,
        }
    return found


def _start(site: Site, request: dict[str, Any]) -> Answer:
    service = site.services[request["service"]]
    name = _slot_name(service.name, request["slot"])
    with _one_at_a_time(site, "containers"):
        if _own_seq(site) >= request["seq"]:
            raise Stop(
                STALE, f"{name} on {site.me}: this start came too late", f"changeover status {site.system}"
            )
        containers.start(site, name, request["release"], fresh=request["fresh"], wait=service.start_timeout)
    return {}


def _one_at_a_time(site: Site, part: str) -> AbstractContextManager[None]:
    """A coordinator that was killed leaves requests under way: the next one waits until they have ended."""
    return busy.busy(site, part, site.coordinator, WAIT, name=f"{part}.busy")


def _stop(site: Site, request: dict[str, Any]) -> Answer:
    """Slots are stopped before others start: what must never run beside them."""
    graces = {_slot_name(one, slot): site.services[one].stop_grace for one, slot in request["slots"].items()}
    with _one_at_a_time(site, "containers"):
        if _own_seq(site) >= request["seq"]:
            fact = f"{', '.join(graces)} on {site.me}: this stop came too late"
            raise Stop(STALE, fact, f"changeover status {site.system}")
        containers.stop_all(site, graces)
    return {}


def _page(site: Site, request: dict[str, Any]) -> Answer:
    """The maintenance page is on, before anything behind it is stopped."""
    with _one_at_a_time(site, "gateway"):
        _not_older(site, request["state"])
        gateway.maintenance(site, json.dumps(request["page"]))
    return {}


def _slot_name(service: str, slot: str) -> str:
    if slot not in (state.BLUE, state.GREEN):
        raise ValueError(f"slot {slot!r}")
    return f"{service}-{slot}"


def _prepare(site: Site, request: dict[str, Any]) -> Answer:
    with _one_at_a_time(site, "gateway"):
        new = _not_older(site, request["state"])
        gateway.prepare(site, new["generation"], state.marks(new, site.services))
    return {}


def _flip(site: Site, request: dict[str, Any]) -> Answer:
    with _one_at_a_time(site, "gateway"):
        new = _not_older(site, request["state"])
        if new["generation"]:
            gateway.prepare(site, new["generation"], state.marks(new, site.services))
            gateway.flip(site, new["generation"])
    return {}


def _adopt(site: Site, request: dict[str, Any]) -> Answer:
    """Makes this host as a state says: gateway first, then the containers of the named services, then its copy.

    The maintenance page goes on before anything stops, and off when what runs was started (`wait`: and is healthy).
    """
    page = state.page(request["state"])
    if site.me in site.gateways:
        _flip(site, request)
        if page:
            _page(site, {**request, "page": page})
    try:
        with _one_at_a_time(site, "containers"):
            new = _not_older(site, request["state"])
            steps = state.containers(new, site.services, site.me, request["services"])
            _settle(site, steps, bool(request.get("wait")))
            if not site.coordinates:  # the coordinator's own is written by its transaction
                durable.write(site.kept("state.json"), state.dump(new))
    finally:  # a container of this host that does not start is no reason to keep the page before the others
        if site.me in site.gateways:
            with _one_at_a_time(site, "gateway"):
                new = _not_older(site, request["state"])
                if not page:
                    gateway.maintenance(site, None)
                gateway.tidy(site, new["generation"])
    return {}


def _settle(site: Site, steps: list[tuple[str, str]], wait: bool) -> None:
    """Stops and starts, in this order; neighbours that stop do it at the same time."""
    for what, names in groupby(steps, key=lambda step: step[0]):
        services = {name: site.services[name.rpartition("-")[0]] for _, name in names}
        if what == "stop":
            containers.stop_all(site, {name: one.stop_grace for name, one in services.items()})
            continue
        for name, one in services.items():
            limit = one.start_timeout if wait and one.traffic else 0
            containers.start(site, name, None, fresh=False, wait=limit)


def _not_older(site: Site, new: dict[str, Any]) -> dict[str, Any]:
    """A request that was stuck on its way, or a coordinator with a lost state, changes nothing."""
    own = _own_seq(site)
    if new["seq"] < own:
        raise Stop(
            PERSON,
            f"{site.me} knows a newer state (seq {own}) than {site.coordinator} says (seq {new['seq']})",
            f"if the state of {site.coordinator} was lost: copy {site.kept('state.json')} of {site.me} there",
        )
    return new


def _state(site: Site, request: dict[str, Any]) -> Answer:
    return {"state": copy_of_state(site)}


def _logs(site: Site, request: dict[str, Any]) -> Answer:
    lines = min(int(request["lines"]), 10_000)
    names = [
        n for n in sorted(containers.look(site)) if request["service"] in (None, n, n.rpartition("-")[0])
    ]
    return {"logs": {name: containers.logs(site, name, lines) for name in names}}


def _migration(site: Site, request: dict[str, Any]) -> Answer:
    """Whether a schema is being changed here, by a deploy that may be gone."""
    return {"runs": site.migration is not None and containers.runs(site, site.migration[1])}


def _prune(site: Site, request: dict[str, Any]) -> Answer:
    from hostcmd import images  # it asks peers, so it cannot be imported above

    return {"removed": images.prune(site, copy_of_state(site))}


def _images(site: Site, request: dict[str, Any]) -> Answer:
    from hostcmd import images

    return {"missing": images.missing(site, copy_of_state(site))}


def _run(site: Site, request: dict[str, Any]) -> Answer:
    """A verb that was typed on another host of the system, or that a trigger sends."""
    from hostcmd import cli  # the verbs ask peers, so they cannot be imported above

    words = [str(word) for word in request["words"]]
    if words[:1] == ["peer"] or request["system"] not in systems(site.root):
        raise Stop(USAGE, f"not to be forwarded: {' '.join(words[:1])}")
    code, out, err = cli.captured(site.root, words, str(request["by"]), forwarded=True)
    return {"code": code, "out": out, "err": err}


VERBS: dict[str, Callable[[Site, dict[str, Any]], Answer]] = {
    "look": _look,
    "start": _start,
    "stop": _stop,
    "page": _page,
    "prepare": _prepare,
    "flip": _flip,
    "adopt": _adopt,
    "state": _state,
    "migration": _migration,
    "logs": _logs,
    "prune": _prune,
    "images": _images,
    "run": _run,
}
