"""A change that may be killed at any instruction: written down first, then prepared, committed, finished.

Journal: `begin` (before and after are known, nothing is done) -> `commit` (from here on it is finished, never undone)
-> `end`, or `undone`. Whoever comes next sees the last record and finishes or undoes; both can be done many times.
The coordinator's journal alone decides; other hosts are told, and those that were away are told later (`pending`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hostcmd import audit, clock, durable, peers, records, timers, written
from hostcmd.plan import hosts_of
from hostcmd.site import Site
from hostcmd.state import State, containers, dump, owe, page, whole
from hostcmd.stop import FAILED, PERSON, Stop

JOURNAL = "journal.jsonl"
MOST, KEEP = 2_000_000, 200  # bytes of the journal before it is shortened, records after
Entry = dict[str, Any]


@dataclass(frozen=True)
class Note:
    """What is done, by whom, and why: for the journal and the audit."""

    verb: str
    txn: str
    by: str
    why: str = ""


@dataclass(frozen=True)
class Done:
    """The state after a change, and which hosts could not be told and why."""

    state: State
    missed: Mapping[str, Stop]


def load(site: Site) -> State:
    """The state as it is written down. Raises Stop (6)."""
    return written.state(site)


def last_entry(site: Site) -> Entry | None:
    """The journal's last record: an older command may have written it. Raises Stop (6)."""
    last = records.last(site.kept(JOURNAL))
    return last and {**last, **{key: whole(last[key]) for key in ("before", "after") if key in last}}


def perform(
    site: Site,
    note: Note,
    before: State,
    after: State,
    *,
    services: Iterable[str] = (),
    traffic: bool = False,
    tell: bool = True,
    paged: bool = False,
    prepare: Callable[[State], None] | None = None,
) -> Done:
    """Carries out a change.

    Arguments: site; note; the states; services whose containers change; whether gateways move; whether other hosts
    are told; whether the maintenance page is on for this change only; what must succeed before the commit, given the
    state to come. Raises Stop when that fails: it is undone.
    """
    durable.make_folder(site.kept())
    last = records.last(site.kept(JOURNAL))
    number = max(before["seq"], last["n"] if last else 0) + 1
    entry: Entry = {
        "n": number,
        "at": clock.now(),
        "note": asdict(note),
        "before": before,
        "after": {**after, "seq": number},
        "services": sorted(services),
        "traffic": traffic,
        "tell": tell,
        "paged": paged,
    }
    if tell:
        try:
            timers.arm(site, timers.WATCH)
        except Stop:
            if note.verb in ("switch", "open", "roll", "weight"):
                raise
    if prepare:
        records.append(site.kept(JOURNAL), {**entry, "kind": "begin"})
        try:
            prepare(entry["after"])
        except BaseException as error:
            undo(site, entry)
            if isinstance(error, Stop):
                raise Stop(error.code, f"{error.fact}; what was begun is undone", error.then) from error
            if isinstance(error, (OSError, KeyboardInterrupt)):
                raise Stop(FAILED, f"{str(error) or 'interrupted'}; what was begun is undone") from error
            raise
    records.append(site.kept(JOURNAL), {**entry, "kind": "commit"})
    try:
        return finish(site, entry, late=False)
    except OSError as error:  # a full disk; the alarm goes on trying
        fact = f"{note.verb} {note.txn} is committed, but not yet finished: {error}"
        raise Stop(PERSON, fact, f"make room, then: changeover recover {site.system}") from error


def finish(site: Site, entry: Entry, late: bool) -> Done:
    """Everything behind the commit; may be called again after a crash (then with `late`)."""
    after, services = entry["after"], entry["services"]
    missed: dict[str, Stop] = {}
    if entry["traffic"]:
        flip = {"verb": "flip", "state": after}
        first = [host for host in site.gateways if host == site.me]
        for wave in (first, [host for host in site.gateways if host != site.me]):
            missed |= peers.ask_all(site, dict.fromkeys(wave, flip))[1]
    told: list[str] = []
    for wave in _waves(site, entry, after, site.hosts if entry["tell"] else []):
        good, failed = _adopt(site, after, services, wave)
        told += good
        missed |= failed
    pending = owe(after["pending"], set(told) - set(missed), _failed(missed, services))
    new = {**after, "pending": pending}
    fresh = new["lease"] != entry["before"]["lease"]  # else it is a dead run's, which a lock or a hold must not prolong
    if new["lease"] and fresh and not late:  # the time to confirm counts from the end of the switch
        new["lease"] = {**new["lease"], **clock.deadline(site.root, new["lease"]["seconds"])}
    _close(site, entry, new, "end", "done")
    return Done(new, missed)


def undo(site: Site, entry: Entry) -> None:
    """Back to the state before; hosts that cannot be told now are told later."""
    before = {**entry["before"], "seq": entry["n"]}
    touched = {*site.gateways, *hosts_of(site, entry["services"])}
    told: list[str] = []
    missed: dict[str, Stop] = {}
    for wave in _waves(site, entry, before, sorted(touched)):
        good, bad = _adopt(site, before, entry["services"], wave, wait=bool(entry.get("paged")))
        told += good
        missed |= bad
    debts = _failed(missed, entry["services"])
    _close(site, entry, {**before, "pending": owe(before["pending"], told, debts)}, "undone", "undone")


def _failed(missed: Mapping[str, Stop], services: list[str]) -> dict[str, tuple[list[str], str]]:
    """What hosts that could not be told are owed, and why."""
    return {host: (services, stop.fact) for host, stop in missed.items()}


def settle_debts(site: Site, state: State) -> State:
    """Tells hosts that were away what they missed; the state with those left that are still away."""
    left = state["pending"]
    for debt in state["pending"]:
        known = debt["host"] in site.hosts
        told, _ = _adopt(site, state, debt["services"], [debt["host"]] if known else [])
        left = owe(left, told if known else [debt["host"]], {})
    if left == state["pending"]:
        return state
    new = {**state, "pending": left}
    durable.write(site.kept("state.json"), dump(new))
    return new


def _waves(site: Site, entry: Entry, state: State, hosts: Iterable[str]) -> list[list[str]]:
    """Where the page comes off with this change, the gateways are told last: when the others run again."""
    if not entry.get("paged") or page(state):
        return [list(hosts)]
    return [[h for h in hosts if h not in site.gateways], [h for h in hosts if h in site.gateways]]


def _adopt(
    site: Site, state: State, services: list[str], hosts: Iterable[str], wait: bool = False
) -> tuple[list[str], dict[str, Stop]]:
    request = {"verb": "adopt", "state": state, "services": services, "wait": wait}
    good, bad = peers.ask_all(site, dict.fromkeys(hosts, request), _limit(site, state, services, wait))
    return list(good), bad


def _limit(site: Site, state: State, services: list[str], wait: bool) -> float:
    """Seconds that the slowest host may take: each of its stops in turn, a minute for what starts, or its wait."""
    starts = [one.start_timeout for name, one in site.services.items() if wait and name in services]
    stops = [
        sum(
            site.services[name.rpartition("-")[0]].stop_grace
            for what, name in containers(state, site.services, host, services)
            if what == "stop"
        )
        for host in site.hosts
    ]
    return peers.QUICK + 60 + max(stops, default=0.0) + sum(starts)


def _close(site: Site, entry: Entry, state: State, kind: str, outcome: str) -> None:
    durable.write(site.kept("state.json"), dump(state))
    if entry["note"]["verb"] != "renew":
        audit.add(site, entry, state, outcome)
    body = {"n": entry["n"], "at": clock.now(), "kind": kind, "note": entry["note"]}
    records.append(site.kept(JOURNAL), body)
    records.keep_last(site.kept(JOURNAL), MOST, KEEP)
    if entry["tell"]:
        try:
            timers.reset(site, state)
        except Stop:
            pass  # the alarm set at the start is still there, or the next call looks


def committed(site: Site, txn: str, verb: str) -> bool:
    """Whether this verb was committed under this transaction before."""
    found = records.read(site.kept(JOURNAL))
    return any(r["kind"] == "end" and r["note"]["txn"] == txn and r["note"]["verb"] == verb for r in found)
