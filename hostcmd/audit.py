"""Who did what, when and why: append-only, each line holding the digest of the one before."""

from __future__ import annotations

from typing import Any

from hostcmd import records
from hostcmd.site import Site
from hostcmd.stop import PERSON, Stop

FILE = "audit.jsonl"


def add(site: Site, entry: dict[str, Any], state: dict[str, Any], outcome: str) -> None:
    """Writes down the end of a change; once, also when a crash makes it be called again."""
    path = site.kept(FILE)
    newest = last(site)
    if newest and newest["n"] >= entry["n"]:
        return
    line = {
        "n": entry["n"],
        "at": entry["at"],
        "host": site.me,
        **entry["note"],
        "from": entry["before"]["release"]["live"],
        "to": state["release"]["live"],
        "candidate": state["release"]["candidate"],
        "generation": state["generation"],
        "outcome": outcome,
    }
    records.append(path, line, chained=True)


def last(site: Site, but: str = "") -> dict[str, Any] | None:
    """The newest line, those of the verb `but` left out. Raises Stop (6)."""
    found = records.last(site.kept(FILE))
    if not found or found["verb"] != but:
        return found
    return next((line for line in reversed(records.read(site.kept(FILE))) if line["verb"] != but), None)


def head(site: Site) -> dict[str, Any]:
    """{"n", "head"}: the number and digest of the last line, to be kept elsewhere. Raises Stop (6)."""
    newest = last(site)
    return {"n": newest["n"], "head": newest["check"]} if newest else {"n": 0, "head": ""}


def verified(site: Site) -> list[dict[str, Any]]:
    """All lines, the chain checked. Raises Stop (6) where it is broken."""
    path = site.kept(FILE)
    found = records.read(path)
    previous = ""
    for number, record in enumerate(found, 1):
        if record.get("prev") != previous:
            fact = f"{path} line {number}: the chain is broken: a line before it was changed or removed"
            raise Stop(PERSON, fact, "compare with the head that the last report printed")
        previous = record["check"]
    return found
