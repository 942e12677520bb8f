"""A run's record, made anew from its coordinator's journal: the control machine died and left none. Pure.

What only the control machine knew stays unknown, and the record says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from changeover.problems import nearest
from changeover.record import Error, Outcome, Record, Release, Step, System, WayBack
from changeover.record_changes import Rebuilt
from changeover.record_probe import Moment, Probe

Line = Mapping[str, Any]
DEPLOYS = ("stage", "open", "roll", "weight", "switch", "confirm")  # what a deploy asks with its own id
SHARE = re.compile(r"(?P<who>\d+ % of the clients|only chosen clients) on ")  # why a share was moved
STAMP = re.compile(r"\d{8}T\d{6}Z")
UNKNOWN = (
    "what the control machine did before and between: preflight, files, containers, migrations, tests; and its words",
    "gates and checklist",
    "settings that changed",
)
NO_PROBE = "what the prober saw: its file is not on this machine"
NAMES = {
    "stage": "{candidate} takes the idle slots",
    "open": "{from} is stopped, behind the maintenance page",
    "roll": "one more host serves {candidate}",
    "weight": "part of the clients is on {candidate}",
    "switch": "traffic goes to {to}",
    "confirm": "{to} is confirmed",
    "rollback": "{to} is live again",
    "recover": "what was interrupted is put right",
}


class NoRun(ValueError):
    """There is no such run in the journal: one line that says what there is, and what to do."""


def runs(lines: Sequence[Line]) -> list[str]:
    """The ids of the deploys in an audit, oldest first."""
    return list(dict.fromkeys(line["txn"] for line in lines if line["verb"] in DEPLOYS))


def lines_of(lines: Sequence[Line], txn: str | None, where: str) -> list[Line]:
    """A deploy's own lines, and the way back that followed before another deploy began.

    Arguments: the whole audit; the run's id (None: the last one's); the host, for the message. Raises NoRun.
    """
    known = runs(lines)
    if not known:
        raise NoRun(f"{where}: no deploy is in its journal; look: sudo changeover audit SYSTEM")
    wanted = txn or known[-1]
    if wanted not in known:
        last = ", ".join(known[-5:])
        raise NoRun(f"{where}: no run {wanted} in its journal{nearest(wanted, known)}; the last ones: {last}")
    found: list[Line] = []
    for line in lines:
        mine = line["txn"] == wanted and line["verb"] in DEPLOYS
        if found and not mine and line["verb"] in DEPLOYS:
            break
        if mine or found and line["verb"] == "rollback":
            found.append(line)
        if found and done(line, "confirm", "rollback"):
            break
    return found


def done(line: Line, *verbs: str) -> bool:
    """Whether a line is one of these verbs, and it was done and not undone."""
    return line["verb"] in verbs and line["outcome"] == "done"


def rebuild(
    status: Mapping[str, Any], audit: Mapping[str, Any], txn: str | None = None, probe: Probe | None = None
) -> Record:
    """The record of a run.

    Arguments: what `changeover status` and `changeover audit` of the coordinator say for a machine; the run's id (None:
    the last one); what its prober saw, where its file is here. Raises NoRun.
    """
    system, host = status["system"], status["coordinator"]
    mine = lines_of(audit["lines"], txn, host)
    first, last = mine[0], mine[-1]
    to = next((one for line in mine for one in (line["candidate"], line["to"]) if one and one != first["from"]), "")
    release = Release(from_=first["from"], to=to or first["to"] or first["from"] or "unknown")
    outcome, why = ended(mine, status, release)
    still = [line for last, line in pairwise(audit["lines"]) if line["verb"] == "weight" and stayed(last, line)]
    moved = moments(system, [line for line in mine if line not in still], release)
    return Record(
        id=stamp(first["txn"]) or first["at"],
        txn=first["txn"],
        systems=[System(name=system, release=release, images=status.get("images", {}).get(release.to, {}))],
        environment=status["environment"],
        actor=first["by"],
        started=started(first),
        ended=at(last),
        outcome=outcome,
        error=None if outcome == "ok" else error(system, why, release, outcome),
        way_back=way_back(system, status, release) if outcome == "ok" else None,
        steps=[step(line, mine, release) for line in mine],
        moments=moved,
        probe=probe,
        rebuilt=Rebuilt(
            host=host,
            lines=len(audit["lines"]),
            head=audit["head"]["head"],
            unknown=[*UNKNOWN, *([] if probe else [NO_PROBE])],
        ),
    )


def stayed(last: Line, line: Line) -> bool:
    """Whether a line moved nobody: a step that is paused, or gone on with. Arguments: the line before; the line."""
    return line.get("generation") is not None and line["generation"] == last.get("generation")


def ended(mine: Sequence[Line], status: Mapping[str, Any], release: Release) -> tuple[Outcome, str]:
    """How a run ended, as far as its coordinator knows, and why. Arguments: its lines; the state now; its release."""
    txn, last = mine[0]["txn"], mine[-1]
    before = f"{release.from_} serves as before" if release.from_ else "nothing is live"
    if any(done(line, "rollback") for line in mine):
        return "rolled_back", last["why"] or f"{last['by']} went back"
    if any(done(line, "confirm") or done(line, "switch") and not line["from"] for line in mine):
        return "ok", ""
    if (status.get("lease") or {}).get("txn") == txn:
        return "interrupted", f"{release.to} is not confirmed: it goes back by itself when its lease ends"
    if (weight := status.get("weight")) and not status.get("lease") and status.get("txn", txn) == txn:
        who = f"{weight['percent']} % of the clients" if weight["percent"] else "only chosen clients"
        return "needs_person", f"paused at a step: {who} stay on {release.to}, and nobody watches it"
    if any(line["outcome"] == "undone" for line in mine):
        return "interrupted", f"the switch was interrupted and is undone; {before}"
    if any(done(line, "switch") for line in mine):
        return "interrupted", f"the traffic went to {release.to}, and the journal does not say what became of it"
    if any(done(line, "weight") for line in mine):
        gone = f"part of the clients went to {release.to}"
        return "interrupted", f"{gone}; what became of them, this run's lines in the journal do not say"
    return "interrupted", f"it ended before the traffic moved; {before}"


def error(system: str, why: str, release: Release, outcome: Outcome) -> Error:
    """Where, why, and the command to run next."""
    again = f"then deploy again: pyinfra INVENTORY deploy.py -y --data release={release.to}"
    return Error(where="the control machine", why=why, next=f"sudo changeover status {system}   ({again})")


def way_back(system: str, status: Mapping[str, Any], release: Release) -> WayBack | None:
    """How to go back, where the hosts can still do it."""
    now = status["release"]
    if now["live"] != release.to or now["previous"] != release.from_ or not release.from_:
        return None
    takes = "about 12 s" if status.get("retired") else "about 1 s while the slot before is warm, then about 12 s"
    return WayBack(kind="code", command=f"sudo changeover rollback {system}", loses="nothing", takes=takes)


def moments(system: str, mine: Sequence[Line], release: Release) -> list[Moment]:
    """The moves of the traffic, by the coordinator's clock, to the second."""
    kinds = {"switch": "switch", **dict.fromkeys(("open", "roll", "weight"), "step")}
    kinds |= {"confirm": "confirm", "rollback": "back"}
    labels = {
        "switch": f"traffic to {release.to}",
        "open": "the maintenance page",
        "roll": "one more host serves it",
        "weight": f"another part of the clients to {release.to}",
        "confirm": f"{release.to} is confirmed",
        "rollback": f"back to {release.from_}",
    }
    return [
        Moment.model_validate(
            {"system": system, "kind": kinds[verb], "label": label, "at": at(line), "until": at(line)}
        )
        for line in mine
        if (verb := line["verb"]) in kinds and line["outcome"] == "done"
        for share in [SHARE.match(line["why"]) if verb == "weight" else None]
        for label in [f"{share['who']} to {release.to}" if share else labels[verb]]
    ]


def step(line: Line, mine: Sequence[Line], release: Release) -> Step:
    """A line of the audit as a step of the page."""
    back = any(done(one, "rollback") for one in mine)
    names: dict[str, Any] = {**line, "from": line["from"] or "nothing", "candidate": line["candidate"] or release.to}
    undone = line["outcome"] == "undone" or back and line["verb"] in ("open", "roll", "weight", "switch")
    return Step(
        name=NAMES.get(line["verb"], str(line["verb"])).format(**names),
        phase=line["verb"],
        host=line["host"],
        start=at(line),
        end=at(line),
        outcome="changed",
        undone=undone,
        detail="; ".join(filter(None, [f"by {line['by']}", line["why"]])),
    )


def at(line: Line) -> datetime:
    """When a line was written."""
    return datetime.fromisoformat(line["at"])


def stamp(txn: str) -> str:
    """The time in a run's id, by the control machine's clock; empty where it has none."""
    found = STAMP.match(txn)
    return found[0] if found else ""


def started(first: Line) -> datetime:
    """When a run began: its id says it, or else its first line."""
    return datetime.strptime(f"{text}+0000", "%Y%m%dT%H%M%SZ%z") if (text := stamp(first["txn"])) else at(first)
