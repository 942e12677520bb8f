"""What a checklist asks of a run, and how its answers are judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from changeover.plan import Plan
from changeover.problems import nearest
from changeover.settings_checklist import Item
from changeover.words import DAYS

Verdict = Literal["pass", "fail", "skipped"]
FULL = 90.0  # percent of its memory limit that a container may take
WRONG = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC|Traceback)\b")  # as loggers write it, and no word of a sentence


@dataclass(frozen=True)
class Seen:
    """The answer to one item: what came of it, and what was seen."""

    verdict: Verdict
    evidence: str


def items(plan: Plan, system: str, when: str) -> list[Item]:
    """The items of a system that this environment has, before or after a release, in the settings' order."""
    here = plan.fleet.environment
    return [one for one in plan.systems[system].checklist if one.when == when and one.environment in (None, here)]


def inside(spans: Sequence[str], now: datetime) -> bool:
    """Whether a time lies in one of some spans such as "mon-thu 09:00-16:00"; 22:00-06:00 ends on the next day."""
    return any(_in(span, now) for span in spans)


def _in(span: str, now: datetime) -> bool:
    days, _, times = span.partition(" ")
    first, _, last = days.partition("-")
    begin, _, end = times.partition("-")
    one, two = DAYS.index(first), DAYS.index(last or first)
    week = [day % 7 for day in range(one, two + 1 if two >= one else two + 8)]
    clock, today = f"{now:%H:%M}", now.weekday()
    if begin < end:
        return today in week and begin <= clock < end
    return today in week and clock >= begin or (today - 1) % 7 in week and clock < end


def window(one: Item, now: datetime) -> Seen:
    """Whether a release may begin now. Arguments: an item with `within`; the time."""
    local = now.astimezone(ZoneInfo(one.zone))
    said = f"{DAYS[local.weekday()]} {local:%H:%M} {one.zone}; allowed: {', '.join(one.within)}"
    return Seen("pass" if inside(one.within, local) else "fail", said)


def answers(text: str, questions: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """{item: what was seen} of a file of answers, and what is wrong with it. Argument: names of items that ask."""
    found: dict[str, str] = {}
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        # The longest name first: one may begin like another.
        name = next((q for q in sorted(questions, key=len, reverse=True) if line.strip().startswith(f"{q}:")), None)
        said = line.strip()[len(name) + 1 :].strip() if name else ""
        if name is None:
            wrong.append(f"line {number}: no question {line.partition(':')[0]!r}{nearest(line, questions)}")
        elif not said:
            wrong.append(f"line {number}: {name}: what was seen is missing")
        else:
            found[name] = said
    return found, wrong


def rehearsed(records: Iterable[Mapping[str, Any]], system: str, release: str) -> Seen:
    """Whether a release went live on staging. Arguments: earlier records, the newest first; what is released."""
    for one in records:
        to = {part["name"]: part["release"]["to"] for part in one["systems"]}
        if one["environment"] == "staging" and one["outcome"] == "ok" and to.get(system) == release:
            probe = one.get("probe")
            counted = f", {probe['failed']} of {probe['sent']} requests failed" if probe else ""
            return Seen("pass", f"{release} went live on staging on {one['ended']}{counted}: run {one['id']}")
    return Seen("fail", f"no report here says that {release} went live on staging; release it there first")


def memory(said: Mapping[str, Sequence[str]]) -> Seen:
    """Whether containers stay below their limits. Argument: {host: lines of `docker stats`, name and percentage}."""
    found = []
    for host, lines in said.items():
        for name, _, share in (line.partition(" ") for line in lines):
            if re.fullmatch(r"[0-9.]+%", share.strip()):
                found.append((float(share.strip()[:-1]), f"{name} on {host}"))
    if not found:
        return Seen("fail", "no host says what its containers use")
    worst, name = max(found)
    return Seen(
        "fail" if worst >= FULL else "pass", f"{name} uses {worst:.0f} % of its limit, the most of {len(found)}"
    )


def logs(said: Mapping[str, Mapping[str, str]], live: Sequence[tuple[str, str]]) -> Seen:
    """Whether what runs writes of errors. Arguments: {host: {container: last lines}}; (host, container) that count."""
    bad = [
        (f"{name} on {host}", line.strip())
        for host, name in live
        for line in said.get(host, {}).get(name, "").splitlines()
        if WRONG.search(line)
    ]
    if silent := [f"{name} on {host}" for host, name in live if name not in said.get(host, {})]:
        return Seen("fail", f"no lines of {', '.join(silent)}")
    if bad:
        return Seen("fail", f"{len(bad)} lines speak of errors, the first of {bad[0][0]}: {bad[0][1][:200]}")
    return Seen("pass", f"no errors in the last lines of {len(live)} containers")


def healthy(hosts: Mapping[str, Mapping[str, Any]], live: Mapping[tuple[str, str], str]) -> Seen:
    """Whether all that is live is up. Arguments: `hosts` of `changeover status`; (host, container) -> its release."""
    bad = []
    for (host, name), release in sorted(live.items()):
        found = hosts.get(host, {}).get("containers", {}).get(name)
        if not found or not found["healthy"] or found["release"] not in (None, release):
            status = f"{found['status']}, {found['release']}" if found else "not there"
            bad.append(f"{name} on {host} ({status})")
    if bad:
        return Seen("fail", f"not healthy at their release: {', '.join(bad)}")
    return Seen("pass", f"{len(live)} containers on {len({host for host, _ in live})} hosts are healthy")


def probed(found: Mapping[str, Any] | None, most: int, kind: str | None = None) -> Seen:
    """What the prober saw. Arguments: its summary (None: there was none); failures that pass; one kind alone."""
    figures = found and (found["by_kind"].get(kind) if kind else found)
    if not figures or not figures["sent"]:
        return Seen("skipped", "nothing of that kind was probed")
    verdict: Verdict = "fail" if figures["failed"] > most else "pass"
    return Seen(verdict, f"{figures['failed']} of {figures['sent']} failed (limit {most})")
