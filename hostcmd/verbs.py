"""The verbs that move a release: stage, switch, confirm, renew, rollback, drain, hold, unhold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hostcmd import audit, clock, durable, images, kept, moves, recover, state, timers
from hostcmd.site import Site
from hostcmd.state import State
from hostcmd.stop import LOCKED, OK, STALE, UNREACHABLE, USAGE, Stop
from hostcmd.taken import Call, stale, taken
from hostcmd.transaction import Done, load, perform, settle_debts


@dataclass(frozen=True)
class Answer:
    """What a verb says: to people (a line, and the next command), and to machines."""

    message: str
    then: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    code: int = OK


def said(now: State, changed: bool, message: str, then: str = "", **more: Any) -> Answer:
    """The answer of a changing verb. `missed` among the rest says why a host could not be told."""
    keys = ("txn", "generation", "seq", "release", "slots", "lease", "pending", "maintenance", "held", "images")
    data = {"changed": changed, **{key: now[key] for key in (*keys, "opened", "rolled", "weight")}, **more}
    data["missed"] = {host: stop.fact for host, stop in more.get("missed", {}).items()}
    if hosts := [debt["host"] for debt in now["pending"]]:
        message += f"; still to be told, and tried again by itself: {', '.join(hosts)}"
    message += "".join(f"\n  {fact}" for fact in data["missed"].values())
    return Answer(message, then, data)


def stage(
    site: Site,
    call: Call,
    release: str,
    services: Sequence[str],
    again: bool,
    migrated: str | None,
    pinned: Sequence[str] = (),
    as_it_is: bool = False,
) -> Answer:
    """The idle slots belong to a release; traffic is not touched. They are given away when they had time to drain.

    `as_it_is`: where they have this release already nothing is started anew in them, so nothing has to drain.
    """
    named = kept.parse(pinned)
    chosen = list(services) or sorted(site.services)
    unknown = [name for name in chosen if name not in site.services]
    if unknown:
        here = ", ".join(sorted(site.services))
        raise Stop(
            USAGE, f"no service {', '.join(unknown)} with slots (services: {here})", "changeover stage --help"
        )
    seen = load(site)
    waited = 0.0
    stays = as_it_is and all(state.idle_release(seen, name) == release for name in chosen)
    if not stays and _gives_away(site, seen, state.staged(seen, release, chosen, again)):
        # not while the system is held: somebody may want to go back meanwhile
        waited = _drain_left(site, seen)
        time.sleep(waited)
    with taken(site, call) as now:
        before = _told(site, now.state)
        after = state.staged(before, release, chosen, again, known=site.services)
        if waited and before["generation"] != seen["generation"]:
            fact = "the traffic moved while this waited for the idle slot to drain"
            raise Stop(STALE, fact, f"changeover status {site.system}")
        after = kept.recorded(after, release, named, site.keep_releases)
        if migrated:
            after = {**after, "migrated": {"release": release, "version": migrated}}
        changed = after != before
        new = perform(site, call.note(), before, after, tell=False).state if changed else before
    targets = (
        {name: state.idle(new, name) for name in new["staged"]}
        if new["release"]["candidate"] == release
        else {}
    )
    if not targets:
        return said(new, changed, f"{release} is live already; nothing is staged", targets=targets)
    words = ", ".join(f"{name} {slot}" for name, slot in targets.items())
    then = f"start these slots, then: changeover switch {site.system} --release {release}"
    return said(new, changed, f"{release} is staged: {words}", then, targets=targets)


def _gives_away(site: Site, now: State, after: State) -> bool:
    """Whether staging takes a slot from a release that may still be answering: uploads arrive when they are whole."""
    if now["retired"] or now["staged"]:
        return False
    traffic = [name for name in after["staged"] if site.services[name].traffic]
    return any(now["slots"][name][state.idle(now, name)] for name in traffic if name in now["slots"])


def switch(site: Site, call: Call, release: str | None, lease: float) -> Answer:
    """The staged release gets the traffic."""
    with taken(site, call) as now:
        live = now.state["release"]
        wanted = release or live["candidate"]
        half = state.half_way(now.state)  # rolling with --again: the candidate is what is live already
        if call.txn and call.txn == now.state["txn"] and wanted in (None, live["live"]) and not half:
            return said(now.state, False, f"{live['live']} is live already, by {call.txn}")
        if release and release == live["live"] and live["candidate"] != release:
            return said(now.state, False, f"{release} is live already")
        may_move(site, call, now.state, release)
        if site.strategy == "recreate" and state.replaced(now.state) and not now.state["opened"]:
            fact = f"{live['live']} still runs, and {site.system} is recreated: never both at once"
            raise Stop(STALE, fact, f"changeover switch {site.system} --open")
        note = call.note()
        done = moves.switch(site, note, now.state, lease)
        new = done.state
        page = clock.since(site.root, now.state["opened"])
    message = f"{site.system} {new['release']['live']} has the traffic (before: {live['live'] or 'nothing'})"
    if page is not None:
        message += f"; the maintenance page was on for {page:.1f} s"
    if not new["lease"]:
        return said(new, True, message, missed=done.missed)
    then = (
        f"changeover confirm {site.system} --txn {note.txn}   (else it goes back by itself in {lease:.0f} s)"
    )
    return said(new, True, message, then, missed=done.missed)


def may_move(site: Site, call: Call, now: State, release: str | None) -> None:
    """Traffic may go to what is staged, by this call. Raises Stop (4)."""
    live, lease = now["release"], now["lease"]
    ours = lease and lease["txn"] == call.txn or now["weight"] and now["txn"] == call.txn
    if stale(site, call) and not ours:
        fact = f"transaction {call.txn} switched before, and something else has happened since"
        raise Stop(STALE, fact, f"changeover history {site.system}")
    if release and release != live["candidate"]:
        fact = f"{release} is not staged (candidate: {live['candidate'] or 'none'})"
        raise Stop(STALE, fact, f"changeover stage {site.system} --release {release}")
    if not live["candidate"]:
        raise Stop(STALE, "no release is staged", f"changeover stage {site.system} --release R")
    if gone := [name for name in now["staged"] if name not in site.services]:
        fact = f"{', '.join(gone)} is staged, but not in the settings any more"
        raise Stop(STALE, fact, f"changeover drain {site.system} --now   (drops what is staged)")
    if lease and call.txn and call.txn != lease["txn"]:
        fact = f"the switch to {live['candidate']} was begun by {lease['txn']}, not by {call.txn}"
        raise Stop(STALE, fact, f"changeover rollback {site.system}   (or wait until its lease ends)")


def confirm(site: Site, call: Call) -> Answer:
    """The switch stays; its idle slot is kept warm for a while, and images of releases long gone are removed."""
    done, new = _confirmed(site, call)
    # The system is not held any more: removing takes a while, and somebody may want to go back.
    removed = images.pruned_everywhere(site, new)
    live = new["release"]["live"]
    if not done:
        return said(new, bool(removed), f"{live} is confirmed already", removed=removed)
    then = f"changeover rollback {site.system}   (to go back; code only)"
    message = f"{site.system} {live} is confirmed"
    if count := sum(map(len, removed.values())):
        message += f"; {count} images of older releases were removed"
    return said(new, True, message, then, missed=done.missed, removed=removed)


def _confirmed(site: Site, call: Call) -> tuple[Done | None, State]:
    with taken(site, call) as now:
        lease, half = now.state["lease"], state.half_way(now.state)
        if not lease and not half and call.txn in (None, now.state["txn"]):
            return None, now.state
        if lease or not half:
            _same_switch(site, call, lease, now.settled)
        if half:
            fact = f"the switch to {half} is not done yet: nothing is to be confirmed"
            txn = f" --txn {lease['txn']}" if lease else ""
            raise Stop(STALE, fact, f"changeover switch {site.system}{txn}")
        after = kept.confirmed({**now.state, "lease": None}, site.keep_releases)
        if site.keep_warm and now.state["release"]["previous"] and not now.state["retired"]:
            after["warm"] = clock.deadline(site.root, site.keep_warm)
        done = perform(site, call.note(), now.state, after)
    return done, done.state


def renew(site: Site, call: Call, lease: float | None) -> Answer:
    """The lease runs anew: the heartbeat of a soak. One atomic write; the alarm looks at it when it comes."""
    with taken(site, call) as now:
        old = now.state["lease"]
        _same_switch(site, call, old, now.settled)
        seconds = lease or old["seconds"]
        new_lease = {**old, "seconds": seconds, **clock.deadline(site.root, seconds)}
        new = {**now.state, "lease": new_lease, "seq": now.state["seq"] + 1}
        durable.write(site.kept("state.json"), state.dump(new))
    return said(new, True, f"the lease of {old['txn']} runs for another {seconds:.0f} s")


def _same_switch(site: Site, call: Call, lease: Mapping[str, Any] | None, settled: list[str]) -> None:
    if lease and call.txn in (None, lease["txn"]):
        return
    now = f"the open one is {lease['txn']}" if lease else "none is open"
    last = audit.last(site, but="drain")
    if last and last["verb"] == "rollback" and not settled:
        settled = [
            f"rollback to {last['to']} by {last['by']} at {last['at']}: {last['why'] or 'no reason given'}"
        ]
    reason = f"; {'; '.join(settled)}" if settled else ""
    raise Stop(
        STALE,
        f"no switch {call.txn or ''} waits to be confirmed: {now}{reason}",
        f"changeover status {site.system}",
    )


def rollback(site: Site, call: Call, hold: bool) -> Answer:
    """Traffic on the release before, in seconds; then its workers."""
    started = time.monotonic()
    with taken(site, call, emergency=True) as now:
        live = now.state["release"]["live"]
        if stale(site, call) or any("went back" in line for line in now.settled):
            return said(now.state, bool(now.settled), f"{site.system} is on {live} already")
        live = state.half_way(now.state) or live
        done = moves.go_back(site, call.note(), now.state, hold)
        new = done.state
    took = time.monotonic() - started
    message = f"{site.system} is back on {new['release']['live']} (from {live}) after {took:.1f} s"
    held = live in new["held"]
    then = f"changeover unhold {site.system} {live}   (to allow {live} again)" if held else ""
    return said(new, True, message + (f"; {live} is held" if held else ""), then, missed=done.missed)


def drain(site: Site, call: Call, at_once: bool) -> Answer:
    """The idle slots are stopped once requests and sockets on them had their time."""
    seen = load(site)
    _may_drain(site, seen)
    if not at_once:
        # not while the system is held: somebody may want to go back meanwhile
        time.sleep(_drain_left(site, seen))
    with taken(site, call) as now:
        _may_drain(site, now.state)
        if now.state["generation"] != seen["generation"]:
            fact = "the traffic moved while this waited; the idle slot is another one now"
            raise Stop(STALE, fact, f"changeover status {site.system}")
        if now.state["retired"] and not now.state["staged"] and not recover.idle_runs(site, now.state):
            return said(now.state, False, "the idle slot is stopped already")
        recover.stop_idle(site, call.note(), now.state if at_once else _told(site, now.state))
        new = load(site)
    dropped = now.state["release"]["candidate"]
    return said(
        new, True, "the idle slot is stopped" + (f"; {dropped} is not staged any more" if dropped else "")
    )


def _told(site: Site, now: State) -> State:
    """The state when every gateway knows where traffic goes: one that does not may still send users to the idle slot.

    Raises Stop (5) while one does not answer.
    """
    new = settle_debts(site, now) if timers.behind(site, now) else now
    if timers.behind(site, new):
        away = ", ".join(debt["host"] for debt in new["pending"] if debt["host"] in site.gateways)
        fact = f"{away} was not told where traffic goes, and may still send users to the idle slot"
        then = f"bring it back, or take it out of the inventory; then: changeover recover {site.system}"
        raise Stop(UNREACHABLE, fact, then)
    return new


def _may_drain(site: Site, now: State) -> None:
    if now["lease"]:
        fact = f"the switch {now['lease']['txn']} is not confirmed: its way back must stay warm"
        raise Stop(LOCKED, fact, f"changeover confirm {site.system} --txn {now['lease']['txn']}")
    if now["weight"]:
        fact = f"{state.share(now)} are on {now['release']['candidate']}: its slot is not idle"
        raise Stop(LOCKED, fact, f"changeover rollback {site.system}")


def _drain_left(site: Site, now: State) -> float:
    """Seconds that the idle slot still has, from when the traffic left it."""
    moved = now["moved"]
    if not moved or moved["boot_id"] != clock.boot_id(site.root):
        return 0.0
    longest = max((s.drain for s in site.services.values()), default=0.0)
    return max(0.0, min(longest, float(moved["boottime"]) + longest - clock.boottime()))


def hold(site: Site, call: Call, release: str) -> Answer:
    """A release is not deployed again until it is allowed."""
    with taken(site, call) as now:
        why = call.why or "by hand"
        changed = now.state["held"].get(release) != why
        after = {**now.state, "held": {**now.state["held"], release: why}}
        new = perform(site, call.note(), now.state, after, tell=False).state if changed else now.state
    then = f"changeover unhold {site.system} {release}   (to allow it again)"
    return said(new, changed, f"{release} is held: {why}", then)


def unhold(site: Site, call: Call, release: str) -> Answer:
    """A held release may be deployed again."""
    with taken(site, call) as now:
        changed = release in now.state["held"]
        after = {**now.state, "held": {r: why for r, why in now.state["held"].items() if r != release}}
        new = perform(site, call.note(), now.state, after, tell=False).state if changed else now.state
    return said(new, changed, f"{release} may be deployed" if changed else f"{release} is not held")
