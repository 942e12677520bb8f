"""`changeover history`: the last releases that were live, what became of them, and which can be gone back to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hostcmd import audit, images
from hostcmd.site import Site
from hostcmd.state import State
from hostcmd.transaction import load
from hostcmd.verbs import Answer

VERBS = ("open", "roll", "weight", "switch", "rollback", "confirm", "recover")
LINES = 20  # changes that are shown
Line = dict[str, Any]


def went_live(lines: Iterable[Line]) -> list[Line]:
    """The releases that had the traffic, newest first, each once, with the last thing that became of it. Pure."""
    found: dict[str, Line] = {}
    for line in lines:
        release, before = line["to"], line["from"]
        if line["outcome"] != "done" or not release:
            continue
        if line["verb"] == "switch":
            same = found.pop(release, {}) if release == before else {}
            found.pop(release, None)
            one = {"release": release, "at": line["at"], "by": line["by"], "why": ""}
            found[release] = {**one, "outcome": "not confirmed" if before else "confirmed", **same}
        elif line["verb"] == "confirm" and release in found:
            found[release]["outcome"] = "confirmed"
        elif line["verb"] == "rollback" and before in found and before != release:
            found[before] |= {"outcome": f"rolled back at {line['at']}", "why": line["why"]}
            found[release] = found.pop(release, {"release": release, "at": line["at"], "by": line["by"], "why": ""})
            found[release].setdefault("outcome", "confirmed")
    return list(reversed(found.values()))


def shown(site: Site) -> Answer:
    """The releases, newest first, and the changes, newest last."""
    now = load(site)
    lines = [line for line in audit.verified(site) if line["verb"] in VERBS]
    where = images.whereabouts(site) if now["images"] else {}
    releases = [_told(now, one, where) for one in went_live(lines)[: site.keep_releases]]
    text = [f"{site.system}   the last {site.keep_releases} releases that were live, newest first"]
    text += [_row(site, one) for one in releases]
    text += [f"  held {release}: {why}" for release, why in now["held"].items()]
    text += ["changes, newest last", *(_change(line) for line in lines[-LINES:])]
    names = [one["release"] for one in releases]
    data = {"changed": False, "releases": names, "history": releases, "events": lines, "held": now["held"]}
    return Answer("\n".join(text), "", data)


def _told(now: State, one: Line, where: Mapping[str, str]) -> Line:
    release = one["release"]
    role = next((role for role in ("live", "previous") if now["release"][role] == release), "")
    return {
        **one,
        "role": role,
        "held": now["held"].get(release),
        "images": where.get(release, "images not written down"),
    }


def _row(site: Site, one: Line) -> str:
    words = [f"{one['release']:<11} {one['role']:<8} since {one['at']}, by {one['by']}", one["outcome"]]
    words += [one["why"]] if one["why"] else []
    words += [f"held: {one['held']}"] if one["held"] and one["held"] != one["why"] else []
    words += ["held"] if one["held"] and one["held"] == one["why"] else []
    words += [one["images"]]
    words += [f"to go back: changeover rollback {site.system}"] if one["role"] == "previous" else []
    return "  " + "   ".join(words)


def _change(line: Line) -> str:
    before, after = line["from"] or "nothing", line["to"] or "nothing"
    what = f"{before} -> {after}" if before != after else after
    if line["outcome"] == "undone":
        what = f"{before} stayed"
    why = f"   {line['why']}" if line["why"] else ""
    return f"  {line['at']}  {line['verb']:<9} {what}   {line['outcome']}, by {line['by']}, {line['txn']}{why}"
