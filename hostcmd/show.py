"""`changeover status`: one screen for one question, and the same for a machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from hostcmd import audit, busy, clock, lock, peers, plan, strategies
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
    hosts = {} if quick or stale else _hosts(site)
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
    }
    if data["lease"]:
        data["lease"] = {**data["lease"], "left": round(clock.left(site.root, data["lease"]), 1)}
    data["changed"] = False
    text = [
        *_text(site, now, data),
        *([f"  this is the copy on {site.me}, {_span(data['age'])} old: {stale.fact}"] if stale else []),
    ]
    return Answer("\n".join(text), "", data)


def _hosts(site: Site) -> dict[str, Any]:
    good, bad = peers.ask_all(site, dict.fromkeys(site.hosts, {"verb": "look"}))
    answers = {
        host: {"reachable": True, "containers": a["containers"], "gateway": a["gateway"]}
        for host, a in good.items()
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
    release = now["release"]
    if not release["live"]:
        lines = [f"{site.system}   never installed"]
    else:
        lines = [
            f"{site.system}   live {release['live']} since {now['since']}, by {now['by']}   {_previous(now)}"
        ]
    lines += [_row(site, now, name, data["hosts"]) for name in sorted(site.services)]
    lines += [
        f"  {host}   not reached: {one['error']}"
        for host, one in data["hosts"].items()
        if not one["reachable"]
    ]
    lines += [f"  gateway     {line}" for line in _gateways(now, data["hosts"])]
    if now["rolled"]:
        count = f"{len(now['rolled'])} of {len(plan.turns(site, now))} hosts"
        lines.append(f"  rolling     {count} serve {release['candidate']}: {', '.join(now['rolled'])}")
    elif now["weight"]:
        lines.append(f"  step        {share(now)} are on {release['candidate']}, the others on {release['live']}")
    elif now["opened"]:
        lines.append(f"  recreate    {release['live']} is stopped for {release['candidate']}, which has no traffic yet")
    elif release["candidate"]:
        lines.append(f"  candidate   {release['candidate']} for {', '.join(now['staged'])}; no traffic yet")
    lines += [f"  held        {held}: {why}" for held, why in now["held"].items()]
    lines += [f"  to be told  {debt['host']}: {debt.get('why') or 'it was away'}" for debt in now["pending"]]
    if reason := page(now):
        until = f", until {reason['until']}" if reason["until"] else ""
        lines.append(f"  maintenance on since {reason['since']}, by {reason['by']}: {reason['why']}{until}")
    lines += [f"  {line}" for line in _company(data)]
    lines += _ways_on(site, now, data)
    return lines


def _previous(now: State) -> str:
    if not now["release"]["previous"]:
        return "previous none"
    return f"previous {now['release']['previous']} ({'stopped' if now['retired'] else 'warm'})"


def _row(site: Site, now: State, name: str, hosts: Mapping[str, Any]) -> str:
    live = now["slots"].get(name, {}).get("live")
    parts = []
    for host in site.services[name].hosts:
        slot = idle(now, name) if host in now["rolled"] and name in now["staged"] else live
        found = hosts.get(host, {}).get("containers", {}).get(f"{name}-{slot}")
        state = "?" if host not in hosts or not hosts[host]["reachable"] else _word(found)
        parts.append(f"{host} {slot or 'no slot'} {state}")
    return f"  {name:<11} {'   '.join(parts)}"


def _word(container: Mapping[str, Any] | None) -> str:
    if not container:
        return "not there"
    return "ready" if container["healthy"] else container["status"] or container["state"]


def _gateways(now: State, hosts: Mapping[str, Any]) -> list[str]:
    """Only what is not as the state says."""
    wrong = []
    for host, one in hosts.items():
        gateway = one.get("gateway")
        if gateway and gateway["generation"] != now["generation"]:
            wrong.append(f"{host} serves generation {gateway['generation']}, not {now['generation']}")
        elif gateway and gateway["maintenance"] != bool(page(now)):
            wrong.append(f"{host} has the maintenance page {'on' if gateway['maintenance'] else 'off'}")
    return wrong


def _company(data: Mapping[str, Any]) -> list[str]:
    held, at_work, head = data["lock"], data["busy"], data["audit"]
    who = f"{held['owner']} ({held['reason']}), expires in {held['left']:.0f} s" if held else "free"
    lines = [] if data["source"] == "copy" else [f"lock        {who}"]
    if at_work:
        lines.append(f"at work     {at_work.get('verb')} by {at_work.get('by')} since {at_work.get('since')}")
    if head and head["n"]:
        lines.append(
            f"audit       head {head['head'][:16]}" + (f"   {head['error']}" if "error" in head else "")
        )
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
    return []


def _next_host(site: Site, now: State) -> str:
    return f" --host {plan.turns(site, now)[len(now['rolled'])]}" if now["rolled"] else ""


def _duration(now: State) -> str:
    if now["opened"] or now["recreated"]:
        return "with the maintenance page, as long as a start takes"
    return "about 12 s" if now["retired"] else "about 1 s"


def _back(site: Site, duration: str) -> str:
    return f"to go back: changeover rollback {site.system}      (code only, {duration})"
