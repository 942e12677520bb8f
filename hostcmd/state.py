"""What is live, as data, and what each verb makes of it. Pure: a state goes in, a new one comes out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hostcmd import SCHEMA
from hostcmd.site import Service
from hostcmd.stop import FAILED, LOCKED, PERSON, STALE, Stop

State = dict[str, Any]
BLUE, GREEN = "blue", "green"
EMPTY: State = {
    "schema": SCHEMA,
    "seq": 0,  # rises with every change; a host refuses an older state than its own
    "generation": 0,  # rises when traffic moves; the name of the gateways' directory
    "txn": None,
    "release": {"live": None, "previous": None, "candidate": None},
    "slots": {},
    "staged": [],  # services that the next switch moves
    "switched": [],  # services that the last switch moved, and a rollback moves back
    "opened": None,  # recreate: {"txn", "by", "why", "since", ...}; the page is on, what is to be replaced is stopped
    "recreated": False,  # the last switch was one: its way back needs the page too
    "rolled": [],  # rolling: hosts that serve the candidate already
    "weight": None,  # {"percent", "steps"}: clients of these steps are on the candidate; 0: only those chosen by name
    "maintenance": None,
    "held": {},
    "images": {},  # {release: {service: image with its digest}}, and in which order (kept.py)
    "tried": [],
    "lived": [],
    "lease": None,
    "warm": None,  # how long the idle slot is kept running after a confirm
    "retired": None,  # since when the idle slot is stopped
    "moved": None,  # when traffic moved last, since boot
    "migrated": {},
    "since": None,
    "by": None,
    "pending": [],  # [{"host", "services", "why"}]: who must still be told
}


def parse(text: str | None) -> State:
    """The state in a file's text; none is a system that was never installed. Raises Stop (6)."""
    try:
        if text is None:
            return copy.deepcopy(EMPTY)
        values = json.loads(text)
        if not isinstance(
            values["release"], dict
        ):  # as the deploy of 0.1 wrote it, before this command was there
            live, previous = values["release"], values.pop("previous", None)
            values["release"] = {"live": live, "previous": previous, "candidate": None}
        return whole(values)
    except (ValueError, KeyError, TypeError) as error:
        raise Stop(
            PERSON,
            f"state.json is damaged ({error})",
            "copy /var/lib/changeover/SYSTEM/state.json from another of its hosts, then: changeover recover SYSTEM",
        ) from error


def whole(values: State) -> State:
    """A state from another time or host: what an older command did not write is as in EMPTY.

    Raises ValueError for another schema, KeyError, TypeError.
    """
    if values["schema"] != SCHEMA:
        raise ValueError(f"schema {values['schema']}, this command knows {SCHEMA}")
    return {**copy.deepcopy(EMPTY), **values}


def dump(state: State) -> str:
    """The file's text: equal states are equal bytes."""
    return json.dumps(state, indent=1, sort_keys=True) + "\n"


def other(slot: str | None) -> str:
    """The slot that is not this one; blue where none is live."""
    return GREEN if slot == BLUE else BLUE


def idle(state: State, service: str) -> str:
    """A service's slot that has no traffic."""
    return other(state["slots"].get(service, {}).get("live"))


def idle_release(state: State, service: str) -> str | None:
    """The release in that slot; None for none."""
    release = state["slots"].get(service, {}).get(idle(state, service))
    return str(release) if release else None


def marks(state: State, services: Mapping[str, Service]) -> dict[str, str]:
    """{service: live slot} of the services with traffic: what a generation directory says.

    In the middle of a rolling release `green1`: its first host serves green, the others the other slot. At a weighted
    step `blue+green_5+green_25`: blue, but green for clients of whom the gateway says that step 5 or 25 is theirs.
    """
    found = {}
    steps = state["weight"]["steps"] if state["weight"] else []
    for name, slots in state["slots"].items():
        if not slots["live"] or name not in services or not services[name].traffic:
            continue
        hosts = set(services[name].hosts)
        ahead = len(hosts & set(state["rolled"])) if name in state["staged"] else 0
        mixed = f"{idle(state, name)}{ahead if ahead < len(hosts) else ''}"
        found[name] = mixed if ahead else slots["live"]
        if name in state["staged"]:
            found[name] = "+".join(sorted([found[name], *(f"{idle(state, name)}_{step}" for step in steps)]))
    return found


def share(state: State) -> str:
    """Who is on the candidate at a weighted step, in words; empty while there is none."""
    if not state["weight"]:
        return ""
    percent = state["weight"]["percent"]
    return f"{percent} % of the clients" if percent else "only chosen clients"


def page(state: State) -> State | None:
    """Why the gateways show the maintenance page; None while they serve. A person's own word comes first."""
    reason: State | None = state["maintenance"] or state["opened"]
    return reason


def staged(
    state: State, release: str, services: Iterable[str], again: bool, known: Iterable[str] | None = None
) -> State:
    """The idle slots of these services belong to a release. Equal when they do already.

    `known`: all services of the settings (None: whatever there is). Slots of others are forgotten with it: put back
    later, such a service begins anew. With `again` also where the release is live already: the same one with changed
    settings. Raises Stop: 1 for a held
    release, 3 while a switch waits to be confirmed.
    """
    system_live = state["release"]["live"]
    if release in state["held"] and release != system_live:
        fact = f"{release} is held: {state['held'][release]}"
        raise Stop(FAILED, fact, f"changeover unhold SYSTEM {release}   (to allow it again)")
    if state["lease"]:
        confirm = f"changeover confirm SYSTEM --txn {state['lease']['txn']}   or: "
        half = half_way(state)
        what = f"{half} is not done" if half else f"{system_live} is not confirmed"
        fact = f"the switch {state['lease']['txn']} to {what} yet"
        raise Stop(LOCKED, fact, f"{'' if half else confirm}changeover rollback SYSTEM")
    if state["weight"] and release != state["release"]["candidate"]:
        fact = f"{share(state)} are on {state['release']['candidate']}"
        raise Stop(LOCKED, fact, "changeover rollback SYSTEM   (or go on with that one)")
    new = copy.deepcopy(state)
    wanted = []
    for name in services:
        slots = new["slots"].setdefault(name, {"live": None, BLUE: None, GREEN: None})
        if slots["live"] and slots[slots["live"]] == release and not again:
            continue
        slots[idle(new, name)] = release
        wanted.append(name)
    if not wanted and (new["slots"] or release == system_live):
        return state  # a system without any slots is still at one release, and goes to another
    if new["release"]["candidate"] == release:
        wanted = sorted({*wanted, *state["staged"]})
    new["staged"] = sorted(wanted)
    new["release"]["candidate"] = release
    if new["staged"] != state["staged"] or new["release"]["candidate"] != state["release"]["candidate"]:
        # the idle slot is given away: what was there cannot be gone back to
        new["release"]["previous"] = None
        new.update(switched=[], recreated=False, retired=None, warm=None)
        gone = set() if known is None else set(new["slots"]) - set(known)
        new["slots"] = {name: slots for name, slots in new["slots"].items() if name not in gone}
        new["staged"] = [name for name in new["staged"] if name not in gone]
    if state["weight"] and (new["slots"], new["staged"]) != (state["slots"], state["staged"]):
        fact = f"{share(state)} are on {release} already, in other slots than these settings would give it"
        raise Stop(LOCKED, fact, "changeover rollback SYSTEM   (then deploy it anew)")
    return new


def switched(state: State, generation: int, txn: str) -> State:
    """The candidate is live in the services that it was staged for; no lease yet. Raises Stop (4) without one."""
    candidate = state["release"]["candidate"]
    if not candidate:
        raise Stop(STALE, "no release is staged", "changeover stage SYSTEM --release R")
    new = copy.deepcopy(state)
    for name in state["staged"]:
        new["slots"][name]["live"] = idle(state, name)
    new["release"] = {"live": candidate, "previous": state["release"]["live"], "candidate": None}
    new.update(generation=generation, txn=txn, staged=[], switched=state["staged"], warm=None)
    opened = state["opened"]
    new.update(opened=None, rolled=[], weight=None, recreated=bool(opened), retired=opened["since"] if opened else None)
    return new


def half_way(state: State) -> str | None:
    """The candidate that a recreate was opened for, or that some hosts or clients are on already; None for neither."""
    candidate: str | None = state["release"]["candidate"]
    return candidate if state["opened"] or state["rolled"] or state["weight"] else None


def replaced(state: State) -> dict[str, str]:
    """{service: live slot} of the staged services that run already."""
    live = {name: state["slots"][name]["live"] for name in state["staged"]}
    return {name: slot for name, slot in live.items() if slot}


def way_back(state: State) -> dict[str, str]:
    """{service: slot} that a way back leads to: of a switch that is half-way, or else of the last one."""
    return replaced(state) if half_way(state) else {name: idle(state, name) for name in state["switched"]}


def rolled_back(state: State, generation: int, txn: str, since: str) -> State:
    """What the last switch moved, or one that is half-way, is moved back. `since`: now, in UTC.

    Raises Stop (1) when there is nothing to go back to.
    """
    if half_way(state):
        new = copy.deepcopy(state)
        new["release"]["candidate"] = None
        new.update(generation=generation, txn=txn, staged=[], lease=None, warm=None)
        new.update(rolled=[], opened=None, weight=None)
        new["retired"] = since if state["opened"] else None
        return new
    live, previous = state["release"]["live"], state["release"]["previous"]
    if not previous or not state["switched"]:
        staged_now = state["release"]["candidate"]
        why = f"its slot was given to the candidate {staged_now}" if staged_now else "none is kept"
        fact = f"nothing to go back to: {live or 'no release'} is live, and of the release before it {why}"
        raise Stop(FAILED, fact, "changeover history SYSTEM   (then deploy the release that you want)")
    new = copy.deepcopy(state)
    for name in state["switched"]:
        slot = idle(state, name)
        new["slots"][name]["live"] = slot if new["slots"][name][slot] else None
    new["release"] = {"live": previous, "previous": None, "candidate": None}
    new.update(generation=generation, txn=txn, staged=[], switched=[], lease=None, warm=None, recreated=False)
    new["retired"] = since if state["recreated"] else None
    return new


def drained(state: State, since: str) -> State:
    """The idle slot is stopped. The release before is kept in it to go back to; anything else is forgotten."""
    new = copy.deepcopy(state)
    for name, slots in new["slots"].items():
        slot = idle(new, name)
        if name not in state["switched"]:
            slots[slot] = None
    new["release"]["candidate"] = None
    new.update(staged=[], retired=since, warm=None)
    return new


def containers(
    state: State, services: Mapping[str, Service], host: str, names: Iterable[str]
) -> list[tuple[str, str]]:
    """What is to be done on a host for these services: ("run" | "stop", "service-slot"), in this order.

    One that must run once is stopped in the old slot before it starts in the new one; of the others the live one
    starts first. An idle slot with traffic is left as it is until it is retired. While a recreate is open nothing that
    it replaces runs; while one rolls, the hosts that went ahead run the candidate.
    """
    result = []
    for name in names:
        service = services.get(name)
        if not service or host not in service.hosts:
            continue
        slots = state["slots"].get(name, {"live": None})
        live, rest = slots["live"], idle(state, name)
        if state["opened"] and name in state["staged"]:
            result += [("stop", f"{name}-{live}")] if live else []
            result += [] if service.traffic else [("stop", f"{name}-{rest}")]
            continue
        if live and name in state["staged"] and host in state["rolled"]:
            live, rest = rest, live
        run = [("run", f"{name}-{live}")] if live else []
        idle_ones = [rest] if live else [BLUE, GREEN]
        stop = (
            [("stop", f"{name}-{slot}") for slot in idle_ones]
            if not service.traffic or state["retired"]
            else []
        )
        result += stop + run if service.singleton else run + stop
    return result


def owe(pending: list[State], told: Iterable[str], failed: Mapping[str, tuple[Iterable[str], str]]) -> list[State]:
    """Who must still be told: those from before who were not told now, and who failed now: which services, and why."""
    debts = {debt["host"]: (set(debt["services"]), debt.get("why", "")) for debt in pending}
    for host in told:
        debts.pop(host, None)
    for host, (services, why) in failed.items():
        debts[host] = (debts.get(host, (set(), ""))[0] | set(services), why)
    return [{"host": host, "services": sorted(what), "why": why} for host, (what, why) in sorted(debts.items())]
