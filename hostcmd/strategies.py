"""The verbs of releases that do not go live at once: opened, host by host, or by a share of the clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hostcmd import moves, plan, verbs
from hostcmd.site import Site
from hostcmd.state import State, share
from hostcmd.stop import STALE, USAGE, Stop
from hostcmd.taken import Call, taken
from hostcmd.verbs import Answer, said


def open_(site: Site, call: Call, release: str | None, lease: float) -> Answer:
    """Recreate: the maintenance page is on, and what the staged release replaces is stopped on all hosts."""
    call = replace(call, verb="open")
    with taken(site, call) as now:
        _begins(site, now.state, "recreate", lease)
        opened, live = now.state["opened"], now.state["release"]["live"]
        verbs.may_move(site, call, now.state, release)
        if not opened and not live:
            raise Stop(STALE, "nothing is live that would have to stop", f"changeover switch {site.system}")
        note = call.note()
        new = now.state if opened else moves.open_(site, note, now.state, lease).state
    txn = new["opened"]["txn"]
    message = f"{live} is stopped, and the maintenance page is on"
    then = f"start {new['release']['candidate']}, then: changeover switch {site.system} --txn {txn}"
    return said(new, not opened, message, f"{then}   (else {live} comes back by itself)")


def roll(site: Site, call: Call, release: str | None, host: str, lease: float) -> Answer:
    """Rolling: one more host serves the staged release; with the last one it is live."""
    with taken(site, replace(call, verb="roll")) as now:
        before = now.state
        _begins(site, before, "rolling", lease)
        done_by_us = call.txn and call.txn == before["txn"] and not before["release"]["candidate"]
        if not done_by_us:
            verbs.may_move(site, call, before, release)
            hosts = plan.turns(site, before)
            _in_turn(site, before, hosts, host)
            if host in before["rolled"]:
                return said(before, False, f"{host} serves {before['release']['candidate']} already")
            if host != hosts[-1] and before["release"]["live"]:
                note = replace(call, verb="roll").note()
                done = moves.roll(site, note, before, host, lease)
                return _rolled(site, done.state, hosts, done.missed)
    return verbs.switch(site, call, release, lease)


def _rolled(site: Site, new: State, hosts: list[str], missed: Mapping[str, Stop]) -> Answer:
    count = f"{len(new['rolled'])} of {len(hosts)} hosts"
    message = f"{count} serve {new['release']['candidate']}, the others {new['release']['live']}"
    follows = hosts[len(new["rolled"])]
    then = f"changeover switch {site.system} --host {follows} --txn {new['lease']['txn']}"
    back = f"(else all go back by themselves in {new['lease']['seconds']:.0f} s)"
    return said(new, True, message, f"{then}   {back}", missed=missed)


def weight(site: Site, call: Call, percent: int, lease: float) -> Answer:
    """A share of the clients is on the staged release, or a smaller one than before; 100 is the switch itself.

    Without a lease it stays there until somebody goes on or back: for a step that was reached with one.
    """
    if percent == 100:
        return verbs.switch(site, replace(call, verb="switch"), None, lease)
    with taken(site, call) as now:
        before = now.state
        at = before["weight"]["percent"] if before["weight"] else None
        _is_a_step(site, before, percent)
        verbs.may_move(site, call, before, None)
        candidate, live = before["release"]["candidate"], before["release"]["live"]
        if not lease and (at is None or percent > at):
            raise Stop(USAGE, "a step up needs a lease: it must come back by itself", "--lease 90s")
        same = at == percent
        steps = before["weight"]["steps"] if same and not lease else [one for one in site.steps if one <= percent]
        wanted = {"percent": percent, "steps": steps}
        if before["weight"] == wanted and bool(before["lease"]) == bool(lease):
            return said(before, False, f"{share(before)} are on {candidate} already")
        note = replace(call, why=call.why or f"{share({'weight': wanted})} on {candidate}").note()
        done = moves.weigh(site, note, before, percent, steps, lease)
    new = done.state
    message = f"{share(new)} are on {candidate}, the others on {live}"
    return said(new, True, message, ways_on(site, new, lease), missed=done.missed)


def ways_on(site: Site, now: State, left: float) -> str:
    """What to type at a weighted step, to go on, and what becomes of it otherwise. `left`: seconds of its lease."""
    lease = now["lease"]
    follows = next((step for step in site.steps if step > now["weight"]["percent"]), 100)
    on = f"changeover weight {site.system} {follows}{' --txn ' + lease['txn'] if lease else ''}"
    else_ = f"all go back by themselves in {left:.0f} s" if lease else "it stays so: nobody watches it"
    return f"{on}   (else {else_})"


def _is_a_step(site: Site, now: State, percent: int) -> None:
    """The gateways know this step, and no other kind of switch is half-way. Raises Stop (2, 4)."""
    if now["opened"] or now["rolled"]:
        fact = f"the switch to {now['release']['candidate']} is half-way, and not by steps"
        raise Stop(STALE, fact, f"changeover rollback {site.system}")
    if not now["release"]["live"]:
        fact = "nothing is live, so that the others had nowhere to go"
        raise Stop(STALE, fact, f"changeover switch {site.system}")
    if percent not in site.steps and percent != (now["weight"] or {}).get("percent"):
        known = ", ".join(map(str, site.steps))
        fact = f"{percent} is no step of {site.system} (release.steps: {f'{known}, 100' if known else 'none'})"
        raise Stop(USAGE, fact, f"changeover status {site.system}")


def _begins(site: Site, now: State, strategy: str, lease: float) -> None:
    """This system goes live in this way, and comes back by itself. Raises Stop (2)."""
    half_way = now["opened"] if strategy == "recreate" else now["rolled"]
    if now["weight"]:
        fact = f"{share(now)} are on {now['release']['candidate']}, by steps"
        raise Stop(STALE, fact, f"changeover rollback {site.system}")
    if site.strategy != strategy and not half_way:
        fact = f"{site.system} is not {strategy}: its release.strategy is {site.strategy}"
        raise Stop(USAGE, fact, f"changeover switch {site.system}")
    if not lease and now["release"]["live"]:
        raise Stop(USAGE, f"a {strategy} release needs a lease: half-way it must come back by itself", "--lease 90s")


def _in_turn(site: Site, now: State, hosts: list[str], host: str) -> None:
    if host not in hosts:
        fact = f"{host} runs nothing of what is staged (hosts, in turn: {', '.join(hosts)})"
        raise Stop(USAGE, fact, f"changeover status {site.system}")
    follows = hosts[len(now["rolled"])]
    if host not in now["rolled"] and host != follows:
        then = f"changeover switch {site.system} --host {follows}"
        raise Stop(STALE, f"{follows} comes before {host}", then)
