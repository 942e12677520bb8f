"""What a crash, a lease that ran out, or a host that was away left to do.

Run at boot, by the host's alarm (timers.py), and the part that must not wait before each changing verb.
"""

from __future__ import annotations

import json
import os
import time

from hostcmd import busy, clock, durable, gateway, kept, moves, peer, peers, records, state, timers
from hostcmd.site import Site
from hostcmd.state import State
from hostcmd.stop import PERSON, Stop
from hostcmd.transaction import JOURNAL, Note, finish, last_entry, load, perform, settle_debts, undo

WAIT = 600.0  # seconds that the alarm waits for a change that is going on
BY = "changeover"


def txn() -> str:
    """A name for a change that nobody named."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(3).hex()}"


def settle(site: Site) -> list[str]:
    """Finishes or undoes what was begun, and goes back when the lease has run out; what was done, in words.

    The caller holds the system. Raises Stop: 6 for a damaged journal, others when going back fails.
    """
    done = []
    last = last_entry(site)
    if last and last["kind"] == "begin":
        undo(site, last)
        done.append(f"{last['note']['verb']} {last['note']['txn']} had been interrupted and is undone")
    elif last and last["kind"] == "commit":
        finish(site, last, late=True)
        done.append(f"{last['note']['verb']} {last['note']['txn']} had been interrupted and is finished")
    now = load(site)
    if now["lease"] and not clock.left(site.root, now["lease"]):
        over = f"switch {now['lease']['txn']} was not confirmed within {now['lease']['seconds']:.0f} s"
        why = now["lease"].get("why") or over
        after = moves.go_back(site, Note("rollback", txn(), BY, why), now, hold=False).state
        done.append(f"{why}: went back to {after['release']['live']}")
    elif now["generation"] and gateway.current(site) > now["generation"]:
        # the journal of a switch was lost behind its commit: the written state is what holds
        after = {**now, "generation": gateway.current(site) + 1}
        perform(
            site, Note("recover", txn(), BY, "the gateway was ahead of the state"), now, after, traffic=True
        )
        done.append(f"the gateway was ahead of the state; {now['release']['live']} serves again")
    return done


def recover(site: Site) -> list[str]:
    """Everything that can be put right on the coordinator, and the next alarm. What was done, in words."""
    with busy.busy(site, "recover", BY, WAIT):
        try:
            done = settle_whatever(site)
            now = load(site)
            if now["pending"]:
                left = settle_debts(site, now)["pending"]
                told = sorted({d["host"] for d in now["pending"]} - {d["host"] for d in left})
                done += [f"{host} was told what it had missed" for host in told]
                now = load(site)
            if now["warm"] and not clock.left(site.root, now["warm"]) and not timers.behind(site, now):
                stop_idle(site, Note("drain", txn(), BY, "kept warm long enough"), now)
                done.append("the idle slot was kept warm long enough and is stopped")
        except (Stop, OSError):
            timers.arm(site, timers.RETRY)
            raise
        timers.reset(site, load(site))
    return done


def settle_whatever(site: Site) -> list[str]:
    """As settle; a damaged journal is kept aside, for what state.json says holds."""
    try:
        records.read(site.kept(JOURNAL))  # whole: settle looks at its end only, and a switch at all of it
        return settle(site)
    except Stop as stop:
        journal = site.kept(JOURNAL)
        if stop.code != PERSON or journal not in stop.fact:
            raise
        aside = f"{journal}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        os.replace(journal, aside)
        durable.sync_folder(site.kept())
        return [f"{stop.fact}; it is kept as {aside}, and state.json holds", *settle(site)]


def stop_idle(site: Site, note: Note, now: State) -> None:
    """The idle slots are stopped, with their grace."""
    perform(
        site,
        note,
        now,
        kept.dropped(state.drained(now, clock.now()), now["release"]["candidate"]),
        services=[n for n in now["slots"] if n in site.services],
    )


def idle_runs(site: Site, now: State) -> bool:
    """Whether idle slots run, whatever is written down: a deploy that was late may have started them."""
    idle = {f"{name}-{state.idle(now, name)}" for name in now["slots"]}
    looks, _ = peers.ask_all(site, dict.fromkeys(site.hosts, {"verb": "look"}))
    found = [one["containers"].get(name) for one in looks.values() for name in idle]
    return any(one and one["state"] in ("running", "restarting") for one in found)


def follow(site: Site) -> list[str]:
    """A host that is not the coordinator becomes as the coordinator says, and lets it pay what it owes us.

    Raises Stop (5) when it does not answer: this host stays as it is.
    """
    try:
        found = peers.ask(site, site.coordinator, {"verb": "state"})["state"]
    except Stop as stop:
        serving = f"; {site.me} serves its last generation {gateway.current(site)}"
        raise Stop(stop.code, stop.fact + (serving if site.me in site.gateways else ""), stop.then) from stop
    said = peer.answer(site.root, {"verb": "adopt", "system": site.system, "state": found, "services": []})
    if not said["ok"]:
        raise Stop(said["code"], said["error"], said["next"])
    words = {"verb": "run", "words": ["recover", site.system], "by": site.me}
    peers.ask(site, site.coordinator, words, timeout=WAIT)
    return [f"as {site.coordinator} says: generation {found['generation']}, seq {found['seq']}"]


def gateway_only(site: Site) -> list[str]:
    """Before nginx starts: this host's gateway serves the last committed generation. Asks no container engine."""
    if site.me not in site.gateways:
        return []
    if site.coordinates:
        last = last_entry(site)
        found = last["after"] if last and last["kind"] == "commit" else load(site)
    else:
        found = state.whole(peers.ask(site, site.coordinator, {"verb": "state"})["state"])
    said = peer.answer(site.root, {"verb": "flip", "system": site.system, "state": found})
    if not said["ok"]:
        raise Stop(said["code"], said["error"], said["next"])
    if page := state.page(found):
        gateway.maintenance(site, json.dumps(page))
    return [f"generation {gateway.current(site)} is served"]
