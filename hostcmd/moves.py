"""Moving traffic, forward and back. The caller has taken the system (taken.py)."""

from __future__ import annotations

from typing import Any

from hostcmd import clock, durable, gateway, kept, migration, peers, plan
from hostcmd.plan import Start
from hostcmd.site import Site
from hostcmd.state import State, half_way, other, rolled_back, switched, way_back
from hostcmd.stop import UNREACHABLE, Stop
from hostcmd.transaction import Done, Note, perform

ROOM = "room"


def switch(site: Site, note: Note, state: State, lease: float) -> Done:
    """The staged release gets the traffic, everywhere or nowhere.

    Arguments: site; note; the state; seconds until it goes back by itself unless confirmed (0: never). A first
    installation has nothing to go back to, so it has no lease. Raises Stop: 1, 4, 5, 6; then nothing has moved.
    """
    after = _moved(site, note, switched(state, _next(site, state), note.txn))
    fit(site, state, plan.hosts_of(site, state["staged"]))
    after["lease"] = leased(site, note, state, lease) if lease and state["release"]["live"] else None
    if not after["lease"]:  # nobody will confirm it
        after = kept.confirmed(after, site.keep_releases)

    def prepare(new: State) -> None:
        _start(site, plan.new_workers(site, state), new["seq"], fresh=True, all_of_them=True)
        _, bad = peers.ask_all(site, dict.fromkeys(site.gateways, _request(new)))
        for stop in bad.values():
            raise stop
        new.update(_moved(site, note, new))  # starting took its time
        if after["lease"]:
            new["lease"].update(clock.deadline(site.root, lease))

    paged = bool(state["opened"])
    return perform(site, note, state, after, services=state["staged"], traffic=True, paged=paged, prepare=prepare)


def open_(site: Site, note: Note, state: State, lease: float) -> Done:
    """Recreate: the maintenance page is on everywhere, then what the staged release replaces is stopped.

    Arguments as in switch. Until the switch it all comes back when the lease ends. Raises Stop: 1, 5; then nothing has
    stopped, or it runs again.
    """
    live, candidate = state["release"]["live"], state["release"]["candidate"]
    moment = {"boottime": round(clock.boottime(), 3), "boot_id": clock.boot_id(site.root)}
    opened = {"txn": note.txn, **_reason(note, f"release {candidate} replaces {live}"), **moment}
    after = {**state, "opened": opened, "lease": leased(site, note, state, lease)}
    hosts = sorted({*plan.hosts_of(site, state["staged"]), *site.gateways})
    looks, away = peers.ask_all(site, dict.fromkeys(hosts, {"verb": "look"}))
    if stop := next(iter(away.values()), None):
        raise Stop(stop.code, f"{stop.fact}; nothing was touched", stop.then)

    def prepare(new: State) -> None:
        for stop in _page_on(site, new, opened).values():
            raise stop
        new["lease"].update(clock.deadline(site.root, lease))

    done = perform(site, note, state, after, services=state["staged"], paged=True, prepare=prepare)
    if running := [host for host in done.missed if host in plan.hosts_of(site, state["staged"])]:
        stop = done.missed[running[0]]
        why = f"{running[0]} may still run {live}, so {candidate} cannot start: {stop.fact}"
        go_back(site, Note("rollback", note.txn, note.by, why), done.state, hold=False)
        raise Stop(stop.code, f"{why}; {live} serves again", stop.then)
    return done


def roll(site: Site, note: Note, state: State, host: str, lease: float) -> Done:
    """Rolling: one more host serves the staged release; not the last one, that is the switch. Arguments as there."""
    after = _moved(site, note, {**state, "generation": _next(site, state), "txn": note.txn})
    after["rolled"] = [*state["rolled"], host]
    fit(site, state, after["rolled"])
    after["lease"] = leased(site, note, state, lease)

    def prepare(new: State) -> None:
        _start(site, plan.new_workers(site, state, [host]), new["seq"], fresh=True, all_of_them=True)
        for stop in peers.ask_all(site, dict.fromkeys(site.gateways, _request(new)))[1].values():
            raise stop
        new["lease"].update(clock.deadline(site.root, lease))

    return perform(site, note, state, after, services=state["staged"], traffic=True, prepare=prepare)


def weigh(site: Site, note: Note, state: State, percent: int, steps: list[int], lease: float) -> Done:
    """So many percent of the clients are on the staged release, and whoever was chosen; workers wait for the switch.

    Arguments as in switch; the gateways' steps up to there. Raises Stop: 1, 5 when more clients shall come and a host
    or gateway is not ready for them; then nothing has moved. Fewer clients, or no lease, keep nobody waiting.
    """
    after: State = {**state, "txn": note.txn, "weight": {"percent": percent, "steps": steps}}
    moves = after["weight"] != state["weight"]
    if moves:
        after["generation"] = _next(site, state)
    rises = bool(set(steps) - set(state["weight"]["steps"] if state["weight"] else ()))
    if rises or lease and not state["lease"]:
        fit(site, state, plan.hosts_of(site, [name for name in state["staged"] if site.services[name].traffic]))
    after["lease"] = leased(site, note, state, lease) if lease else None

    def prepare(new: State) -> None:
        bad = peers.ask_all(site, dict.fromkeys(site.gateways, _request(new)))[1]
        for stop in bad.values() if rises else ():
            raise stop
        if lease:
            new["lease"].update(clock.deadline(site.root, lease))

    return perform(site, note, state, after, traffic=moves, prepare=prepare if moves else None)


def fit(site: Site, state: State, hosts: list[str]) -> None:
    """These hosts are ready for the staged release. Raises Stop."""
    looks, away = peers.ask_all(site, dict.fromkeys(hosts, {"verb": "look"}))
    if stop := plan.objection(site, state, looks, away):
        raise Stop(stop.code, f"{stop.fact}; nothing was touched", stop.then)


def leased(site: Site, note: Note, state: State, lease: float) -> dict[str, Any]:
    """A lease of so many seconds; it goes back to the generation that was served when the change began.

    From here on there is room for the way back, also on a disk that fills meanwhile.
    """
    durable.keep_room(site.kept(ROOM))
    began = state["lease"]["from_generation"] if state["lease"] else state["generation"]
    return {"txn": note.txn, "seconds": lease, "from_generation": began, **clock.deadline(site.root, lease)}


def _reason(note: Note, why: str) -> dict[str, Any]:
    """What the maintenance page is on for."""
    return {"by": note.by, "why": why, "since": clock.now(), "until": None}


def _page_on(site: Site, state: State, reason: dict[str, Any]) -> dict[str, Stop]:
    """The maintenance page is on at all gateways; what went wrong at others."""
    request = {"verb": "page", "state": state, "page": state["maintenance"] or reason}
    return peers.ask_all(site, dict.fromkeys(site.gateways, request))[1]


def go_back(site: Site, note: Note, state: State, hold: bool) -> Done:
    """Traffic is on the release before, and then its workers are.

    Arguments: site; note (its `why` is what the release is held for); the state; whether it is held. Hosts that do
    not answer are told later. Raises Stop: 1 when there is nothing to go back to, or the old slot does not start.
    """
    after = _moved(site, note, rolled_back(state, _next(site, state), note.txn, clock.now()))
    failed, back_to = half_way(state) or state["release"]["live"], after["release"]["live"]
    slots, stopped = way_back(state), bool(state["opened"] or state["recreated"])
    drain = max((one.drain for one in site.services.values()), default=0.0)
    if hold and failed != back_to:
        after["held"] = {**state["held"], failed: note.why or "rolled back"}
    if not stopped:
        # What was left is stopped once its requests and sockets had their time: it may well be what eats the host.
        after["warm"] = clock.deadline(site.root, drain)
    hosts = plan.hosts_of(site, [name for name in slots if name in site.services and site.services[name].traffic])
    looks, away = peers.ask_all(site, dict.fromkeys(hosts, {"verb": "look"}))
    way = plan.way_back(site, state, looks)
    if way.unknown and (state["retired"] or state["opened"]):
        fact = "; ".join(stop.fact for stop in away.values())
        raise Stop(
            UNREACHABLE, f"the slot of {back_to} is stopped, and {fact}", next(iter(away.values())).then
        )
    if not migration.over(site, state):
        if state["lease"]:
            migration.decided(site, state, note.why or f"rolled back by {note.by}", hold)
        stop = migration.refusal(site, back_to)
        raise Stop(stop.code, f"{stop.fact}, and {back_to} comes back by itself when it has ended", stop.then)

    def prepare(new: State) -> None:
        if stopped:  # a host that does not answer keeps nobody on the page; it is told when it is back
            _page_on(site, new, _reason(note, f"release {back_to} comes back"))
            _stop(site, {name: other(slot) for name, slot in slots.items()}, new["seq"])
            if not migration.over(site, state):  # one that was about to begin has begun by now
                raise migration.refusal(site, back_to)
        _start(site, way.start, new["seq"], fresh=False, all_of_them=False)
        if not stopped:
            new["warm"] = clock.deadline(site.root, drain)  # starting took its time
        peers.ask_all(site, dict.fromkeys([h for h in site.gateways if h == site.me], _request(new)))
        new.update(_moved(site, note, new))

    names = state["staged"] if half_way(state) else state["switched"]
    with durable.room(site.kept(ROOM)):
        return perform(site, note, state, after, services=names, traffic=True, paged=stopped, prepare=prepare)


def _stop(site: Site, slots: dict[str, str], seq: int) -> None:
    """Slots are stopped on all hosts that answer."""
    requests: dict[str, dict[str, Any]] = {}
    for name, slot in slots.items():
        for host in site.services[name].hosts if name in site.services else ():
            requests.setdefault(host, {"verb": "stop", "seq": seq, "slots": {}})["slots"][name] = slot
    grace = max((site.services[name].stop_grace for name in slots if name in site.services), default=0.0)
    peers.ask_all(site, requests, grace + peers.QUICK)


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
