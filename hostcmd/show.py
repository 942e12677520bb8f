"""`changeover status`: one screen for one question, and the same for a machine."""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Mapping
from typing import Any

from hostcmd import audit, busy, clock, drift, lock, peers, plan, strategies
from hostcmd.site import Site
from hostcmd.state import State, half_way, idle, page, share
from hostcmd.stop import Stop
from hostcmd.transaction import load
from hostcmd.verbs import Answer


def status(site: Site, quick: bool, stale: Stop | None = None) -> Answer:
    """What is live, and what every host says about itself.

    Arguments: the site; whether hosts are not asked; on a host that is not the coordinator, why that one is silent.
    """
    now = load(site)
    hosts = {} if quick or stale else _hosts(site, now)
    drifted = drift.drift(site, now, hosts)
    data: dict[str, Any] = {
        "system": site.system,
        "environment": site.environment,
        "host": site.me,
        "coordinator": site.coordinator,
        "source": "copy" if stale else "coordinator",
        "age": _age(site) if stale else 0,
        **now,
        "lock": None if stale else lock.shown(site),
        "busy": None if stale else busy.holder(site),
        "audit": None if stale else _head(site),
        "hosts": hosts,
        "drift": drifted if hosts else None,
        "off": drift.off(site, now, hosts, drifted) if hosts else None,  # None: nobody was asked
    }
    if data["lease"]:
        data["lease"] = {**data["lease"], "left": round(clock.left(site.root, data["lease"]), 1)}
    data["changed"] = False
    text = [
        *_text(site, now, data),
        *([f"  this is the copy on {site.me}, {_span(data['age'])} old: {stale.fact}"] if stale else []),
    ]
    return Answer("\n".join(text), "", data)


def _hosts(site: Site, now: State) -> dict[str, Any]:
    request = {"verb": "look"}
    if now["retired"] and now["release"]["previous"]:  # its containers stand still: is what they start from there?
        request["images"] = now["release"]["previous"]
    good, bad = peers.ask_all(site, dict.fromkeys(site.hosts, request))
    kept = ("seq", "generation", "settings", "missing", "containers", "gateway")
    answers = {
        host: {"reachable": True, **{key: a[key] for key in kept if key in a}} for host, a in good.items()
    }
    return answers | {host: {"reachable": False, "error": stop.fact} for host, stop in bad.items()}


def _age(site: Site) -> int:
    """Seconds since this host's copy was written, by its own clock."""
    try:
        return max(0, int(time.time() - os.stat(site.kept("state.json")).st_mtime))
    except FileNotFoundError:
        return 0


def _head(site: Site) -> dict[str, Any]:
    try:
        return audit.head(site)
    except Stop as stop:
        return {"n": 0, "head": "", "error": stop.fact}


def _span(seconds: float) -> str:
    """A rounded duration."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * 2:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _text(site: Site, now: State, data: Mapping[str, Any]) -> list[str]:
    release, hosts = now["release"], data["hosts"]
    if not release["live"]:
        lines = [f"{site.system}   never installed"]
    else:
        since = f"since {_when(now['since'])}, by {now['by']}"
        lines = [f"{site.system}   live {release['live']} {since}   {_previous(site, now, hosts)}"]
    lines += [_row(site, now, name, hosts) for name in sorted(site.services)]
    lines += [_line(name, "   ".join(where)) for name, where in _others(site, hosts).items()]
    lines += [_line(host, f"not reached: {one['error']}") for host, one in hosts.items() if not one["reachable"]]
    if now["rolled"]:
        count = f"{len(now['rolled'])} of {len(plan.turns(site, now))} hosts"
        lines.append(_line("rolling", f"{count} serve {release['candidate']}: {', '.join(now['rolled'])}"))
    elif now["weight"]:
        lines.append(_line("step", f"{share(now)} are on {release['candidate']}, the others on {release['live']}"))
    elif now["opened"]:
        why = f"{release['live']} is stopped for {release['candidate']}, which has no traffic yet"
        lines.append(_line("recreate", why))
    elif release["candidate"]:
        services = ", ".join(now["staged"])
        lines.append(_line("candidate", f"{release['candidate']} for {services}; no traffic yet"))
    lines += [_line("held", f"{held}: {why}") for held, why in now["held"].items()]
    lines += [_line("to be told", f"{debt['host']}: {debt.get('why') or 'it was away'}") for debt in now["pending"]]
    if reason := page(now):
        until = f", until {reason['until']}" if reason["until"] else ""
        on = f"on since {reason['since']}, by {reason['by']}: {reason['why']}{until}"
        lines.append(_line("maintenance", on))
    lines += _company(data)
    if data["off"] is not None:
        lines += [_line("drift", one) for one in data["drift"] or ["none"]]
        count = f"{len(data['off'])} thing{'s' * (len(data['off']) > 1)}: "
        lines.append(_line("off", f"{count if data['off'] else ''}{'; '.join(data['off']) or 'nothing'}"))
    lines += _ways_on(site, now, data)
    return lines


def _line(label: str, text: str) -> str:
    return f"  {label:<11} {text}"


def _when(moment: str) -> str:
    """2026-11-21T14:03:22Z as a person reads it, and how long ago that was; no guess where a clock has jumped."""
    shown = f"{moment[:10]} {moment[11:19]} UTC"
    try:
        ago = time.time() - calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return moment
    return f"{shown} ({_span(ago)} ago)" if ago >= 0 else shown


def _previous(site: Site, now: State, hosts: Mapping[str, Any]) -> str:
    previous = now["release"]["previous"]
    if not previous:
        return "previous none"
    slots = {idle(now, name) for name in now["switched"]}
    words = [slots.pop()] if len(slots) == 1 else []
    if not now["retired"]:
        left = clock.left(site.root, now["warm"]) if now["warm"] else 0
        words.append(f"warm, stopped in {_span(left)}" if left else "warm")
    else:
        words.append("stopped")
        said = {host: one["missing"] for host, one in hosts.items() if one.get("missing") is not None}
        lacking = sorted(host for host, services in said.items() if services)
        if said:
            words.append(f"image not on {', '.join(lacking)}" if lacking else "image here")
    return f"previous {previous} ({', '.join(words)})"


def _row(site: Site, now: State, name: str, hosts: Mapping[str, Any]) -> str:
    parts = []
    for host in site.services[name].hosts:
        slot = drift.serving(now, name, host)
        found = hosts.get(host, {}).get("containers", {}).get(f"{name}-{slot}")
        state = "?" if host not in hosts or not hosts[host]["reachable"] else drift.state_of(found)
        parts.append(f"{host} {slot or 'no slot'} {state}")
    return _line(name, "   ".join(parts))


def _others(site: Site, hosts: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, host, state in drift.others(site, hosts):
        found.setdefault(name, []).append(f"{host} {state}")
    return found


def _company(data: Mapping[str, Any]) -> list[str]:
    held, at_work, head = data["lock"], data["busy"], data["audit"]
    who = f"{held['owner']} ({held['reason']}), expires in {held['left']:.0f} s" if held else "free"
    lines = [] if data["source"] == "copy" else [_line("lock", who)]
    if at_work:
        lines.append(_line("at work", f"{at_work.get('verb')} by {at_work.get('by')} since {at_work.get('since')}"))
    if head and head["n"]:
        lines.append(_line("audit", f"head {head['head'][:16]}" + (f"   {head['error']}" if "error" in head else "")))
    return lines


def _ways_on(site: Site, now: State, data: Mapping[str, Any]) -> list[str]:
    if now["weight"]:
        on = f"to go on: {strategies.ways_on(site, now, (data['lease'] or {}).get('left', 0))}"
        return [on, _back(site, _duration(now))]
    if (lease := data["lease"]) and half_way(now):
        on = f"changeover switch {site.system}{_next_host(site, now)} --txn {lease['txn']}"
        return [f"goes back by itself in {lease['left']:.0f} s unless it goes on: {on}", _back(site, _duration(now))]
    if lease:
        confirm = f"changeover confirm {site.system} --txn {lease['txn']}"
        return [
            f"goes back by itself in {lease['left']:.0f} s unless confirmed: {confirm}",
            _back(site, _duration(now)),
        ]
    if now["release"]["previous"]:
        return [_back(site, _duration(now))]
    if now["release"]["candidate"]:
        slots = ", ".join(f"{name}-{idle(now, name)}" for name in now["staged"])
        return [f"to go on, when {slots} are ready: changeover switch {site.system}"]
    nothing = f"to go back: nothing is kept to go back to      (changeover history {site.system})"
    return [nothing] if now["release"]["live"] else []


def _next_host(site: Site, now: State) -> str:
    return f" --host {plan.turns(site, now)[len(now['rolled'])]}" if now["rolled"] else ""


def _duration(now: State) -> str:
    if now["opened"] or now["recreated"]:
        return "with the maintenance page, as long as a start takes"
    return "about 12 s" if now["retired"] else "about 1 s"


def _back(site: Site, duration: str) -> str:
    return f"to go back: changeover rollback {site.system}      (code only, {duration})"
