"""The verbs around a release: maintenance, lock, audit, logs."""

from __future__ import annotations

from typing import Any

from hostcmd import audit, clock, lock, peers
from hostcmd.site import Site
from hostcmd.stop import FAILED, USAGE, Stop
from hostcmd.taken import Call, taken
from hostcmd.transaction import Done, load, perform
from hostcmd.verbs import Answer, said

TTL = 60.0  # seconds that a lock lasts without a heartbeat


def maintenance(site: Site, call: Call, action: str, until: str | None) -> Answer:
    """The gateways answer 503 with a page and Retry-After, or serve again. Nothing turns it off by itself."""
    if action == "status":
        now = load(site)
        return said(now, False, _maintenance_words(now["maintenance"]))
    with taken(site, call, emergency=True) as taken_now:
        before = taken_now.state
        wanted: dict[str, Any] | None = None
        if action == "on":
            wanted = {"by": call.by, "why": call.why or "by hand", "since": clock.now(), "until": until}
            same = before["maintenance"]
            if same and all(same[key] == wanted[key] for key in ("why", "until")):
                wanted = same
        changed = wanted != before["maintenance"]
        after = {**before, "maintenance": wanted}
        done = perform(site, call.note(), before, after) if changed else Done(before, {})
    then = f"changeover maintenance {site.system} off   (to serve again)" if wanted else ""
    words = _maintenance_words(wanted)
    if not wanted and (opened := before["opened"]):
        words += f"; the page stays until the switch {opened['txn']} is done ({opened['why']})"
        then = f"changeover rollback {site.system}   (to give that up)"
    return said(done.state, changed, words, then, missed=done.missed)


def _maintenance_words(now: dict[str, Any] | None) -> str:
    if not now:
        return "maintenance is off"
    until = f", until {now['until']}" if now["until"] else ""
    return f"maintenance is on since {now['since']}, by {now['by']}: {now['why']}{until}"


def locking(site: Site, call: Call, action: str, ttl: float | None) -> Answer:
    """The lock of a deploy, that lasts over many commands."""
    owner = call.owner or call.txn or call.by
    if action == "show":
        now = lock.shown(site)
        return Answer(_lock_words(now), "", {"changed": False, "lock": now})
    name = Call(f"lock {action}", call.txn, call.by, call.why, owner)
    with taken(site, name, emergency=True) as now_taken:
        if action == "acquire":
            taken_lock = lock.acquire(site, owner, call.why or "no reason given", ttl or TTL)
            return Answer(
                _lock_words(lock.shown(site)), _renewal(site, owner), {"changed": True, "lock": taken_lock}
            )
        if action == "renew":
            return Answer("the lock is renewed", "", {"changed": True, "lock": lock.renew(site, owner, ttl)})
        if action == "release":
            changed = lock.release(site, owner)
            return Answer("the lock is free", "", {"changed": changed, "lock": None})
        was = lock.shown(site)
        lock.free(site)
        perform(
            site, name.note(), now_taken.state, now_taken.state, tell=False
        )  # that it was broken is on record
    return Answer(
        f"the lock is broken (it was: {_lock_words(was)})", "", {"changed": bool(was), "lock": None}
    )


def _renewal(site: Site, owner: str) -> str:
    return f"changeover lock {site.system} renew --owner {owner}   (before it expires)"


def _lock_words(now: dict[str, Any] | None) -> str:
    if not now:
        return "lock free"
    return (
        f"lock held by {now['owner']} since {now['since']}, expires in {now['left']:.0f} s: {now['reason']}"
    )


def audited(site: Site, verify: bool) -> Answer:
    """The audit's lines; with `verify` only whether its chain holds, and its head."""
    lines = audit.verified(site)
    head = audit.head(site)
    data = {"changed": False, "verified": True, "head": head, "lines": [] if verify else lines}
    if verify:
        return Answer(
            f"the chain of {head['n'] and len(lines)} lines holds; head {head['head'] or 'none'}", "", data
        )
    text = [
        f"{r['at']}  {r['n']:>4}  {r['verb']:<11} {r['outcome']:<7} {r['by']}  {r['txn']}"
        f"  {r['from'] or '-'} -> {r['to'] or '-'}" + (f"  {r['why']}" if r["why"] else "")
        for r in lines
    ]
    return Answer("\n".join([*text, f"head {head['head'] or 'none'}"]), "", data)


def logs(site: Site, service: str | None, lines: int) -> Answer:
    """The last lines of a service's containers, or of all, host by host."""
    slots = {f"{name}-{slot}" for name in site.services for slot in ("blue", "green")}
    if service and service not in site.services and service not in slots:
        raise Stop(USAGE, f"no service {service} with slots (services: {', '.join(sorted(site.services))})")
    named = service.removesuffix("-blue").removesuffix("-green") if service and service in slots else service
    hosts = site.services[named].hosts if named else tuple(site.hosts)
    request = {"verb": "logs", "service": service, "lines": lines}
    good, bad = peers.ask_all(site, dict.fromkeys(hosts, request))
    if bad and not good:
        raise next(iter(bad.values()))
    text = [
        f"--- {host} {name}\n{found}" for host, one in good.items() for name, found in one["logs"].items()
    ] + [f"--- {host}: {stop.fact}" for host, stop in bad.items()]
    data = {"changed": False, "logs": {host: one["logs"] for host, one in good.items()}}
    return Answer("\n".join(text) or "no containers", "", data, FAILED if bad else 0)
