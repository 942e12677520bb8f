"""Moving traffic, forward and back. The caller has taken the system (taken.py)."""

from __future__ import annotations

from typing import Any

from hostcmd import clock, gateway, peers, plan
from hostcmd.plan import Start
from hostcmd.site import Site
from hostcmd.state import State, rolled_back, switched
from hostcmd.stop import UNREACHABLE, Stop
from hostcmd.transaction import Done, Note, perform


def switch(site: Site, note: Note, state: State, lease: float) -> Done:
    """The staged release gets the traffic, everywhere or nowhere.

    Arguments: site; note; the state; seconds until it goes back by itself unless confirmed (0: never). A first
    installation has nothing to go back to, so it has no lease. Raises Stop: 1, 4, 5, 6; then nothing has moved.
    """
    after = _moved(site, note, switched(state, _next(site, state), note.txn))
    hosts = plan.hosts_of(site, state["staged"])
    looks, away = peers.ask_all(site, dict.fromkeys(hosts, {"verb": "look"}))
    if stop := plan.objection(site, state, looks, away):
        raise Stop(stop.code, f"{stop.fact}; nothing was touched", stop.then)
    if lease and state["release"]["live"]:
        after["lease"] = {
            "txn": note.txn,
            "seconds": lease,
            "from_generation": state["generation"],
            **clock.deadline(site.root, lease),
        }

    def prepare(new: State) -> None:
        _start(site, plan.new_workers(site, state), new["seq"], fresh=True, all_of_them=True)
        _, bad = peers.ask_all(site, dict.fromkeys(site.gateways, _request(new)))
        for stop in bad.values():
            raise stop
        new.update(_moved(site, note, new))  # starting took its time
        if after["lease"]:
            new["lease"].update(clock.deadline(site.root, lease))

    return perform(site, note, state, after, services=state["staged"], traffic=True, prepare=prepare)


def go_back(site: Site, note: Note, state: State, hold: bool) -> Done:
    """Traffic is on the release before, and then its workers are.

    Arguments: site; note (its `why` is what the release is held for); the state; whether it is held. Hosts that do
    not answer are told later. Raises Stop: 1 when there is nothing to go back to, or the old slot does not start.
    """
    after = _moved(site, note, rolled_back(state, _next(site, state), note.txn))
    failed, back_to = state["release"]["live"], after["release"]["live"]
    if hold and failed != back_to:
        after["held"] = {**state["held"], failed: note.why or "rolled back"}
    # What was left is stopped once its requests and sockets had their time: it may well be what eats the host.
    after["warm"] = clock.deadline(site.root, max((one.drain for one in site.services.values()), default=0.0))
    hosts = plan.hosts_of(
        site, [name for name in state["switched"] if name in site.services and site.services[name].traffic]
    )
    looks, away = peers.ask_all(site, dict.fromkeys(hosts, {"verb": "look"}))
    way = plan.way_back(site, state, looks)
    if way.unknown and state["retired"]:
        fact = "; ".join(stop.fact for stop in away.values())
        raise Stop(
            UNREACHABLE, f"the slot of {back_to} is stopped, and {fact}", next(iter(away.values())).then
        )

    def prepare(new: State) -> None:
        _start(site, way.start, new["seq"], fresh=False, all_of_them=False)
        peers.ask_all(site, dict.fromkeys([h for h in site.gateways if h == site.me], _request(new)))
        new.update(_moved(site, note, new))

    return perform(site, note, state, after, services=state["switched"], traffic=True, prepare=prepare)


def _moved(site: Site, note: Note, after: State) -> State:
    moved = {"boottime": round(clock.boottime(), 3), "boot_id": clock.boot_id(site.root)}
    return {**after, "since": clock.now(), "by": note.by, "moved": moved}


def _next(site: Site, state: State) -> int:
    """A generation that is newer than any that was served."""
    return int(max(state["generation"], gateway.current(site))) + 1


def _request(state: State) -> dict[str, Any]:
    return {"verb": "prepare", "state": state}


def _start(site: Site, starts: list[Start], seq: int, *, fresh: bool, all_of_them: bool) -> None:
    """Starts slots for the change `seq`, host by host in parallel, and waits until they are healthy.

    Raises Stop when one fails; with `all_of_them` unset, when a service has not one that is healthy.
    """
    good: set[str] = set()
    bad: dict[str, Stop] = {}
    for name in dict.fromkeys(one.service for one in starts):
        request = {"verb": "start", "service": name, "seq": seq, "fresh": fresh}
        requests = {
            one.host: {**request, "slot": one.slot, "release": one.release}
            for one in starts
            if one.service == name
        }
        service = site.services[name]
        answers, failed = peers.ask_all(site, requests, service.start_timeout * 2 + 90)
        if answers:
            good.add(name)
        for stop in failed.values():
            bad.setdefault(name, stop)
    for name, stop in bad.items():
        if all_of_them or name not in good:
            raise stop
