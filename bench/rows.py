"""The figures of releases as rows of a table: figure, target, what was measured, whether that meets it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

REQUESTS, MOVES, SHARE, SOCKETS = 200_000, 50, 0.3, 200
RATIO = 1.5  # p99 in a move, of that at rest
GROWTH = 1.2  # a host of many may cost so many times what one of few does
WARM, COLD, UPGRADE = 1.0, 15.0, 45.0  # seconds
WATCH = 0.01  # of the gateway's capacity
BUSY = "with all hosts and the load's own clients on these cores, what a move starts and stops takes time from the rest"


class Row(NamedTuple):
    """One figure; `reason` only where it was missed."""

    figure: str
    target: str
    measured: str
    good: bool
    reason: str = ""


def seconds(times: Sequence[float]) -> str:
    """Median, least and most, to a hundredth."""
    return f"{median(times):.2f} s ({min(times):.2f} to {max(times):.2f}, {len(times)} times)"


def within(figure: str, times: Sequence[float], most: float) -> Row:
    """A row of times of which none may be longer than `most` seconds."""
    late = sum(time > most for time in times)
    reason = f"{late} of {len(times)} took longer" if late else ""
    return Row(figure, f"{most:g} s at most", seconds(times), not late, reason)


def of_release(r: Mapping[str, Any]) -> list[Row]:
    """Rows of the run under load."""
    moves, rows, sockets = r["moves"], r["rows"], r["sockets"]
    many = r["sent"] >= REQUESTS and min(moves["switch"], moves["rollback"]) >= MOVES
    over = f"over {moves['switch']} switches, {moves['rollback']} ways back and {moves['drain']} stops of the idle slot"
    target = f"0 of {REQUESTS:,} or more, over {MOVES} switches and {MOVES} ways back or more"
    reason = "" if not r["failed"] else "; ".join(f"{count} {kind}" for kind, count in r["failures"].items())
    found = [
        Row("requests lost", target, f"{r['failed']} of {r['sent']:,}, {over}", many and not r["failed"], reason)
        if many or r["failed"]
        else Row("requests lost", target, f"{r['failed']} of {r['sent']:,}, {over}", False, "a shorter run")
    ]
    share = r["posts"] / r["sent"]
    bad = {key: rows[key]["count"] for key in ("lost", "twice", "unknown")} if "lost" in rows else {"counted": 0}
    shown = ", ".join(f"{key} {count}" for key, count in bad.items())
    measured = f"{share:.0%} POSTs; {r['posts_with_id']:,} ids, {rows.get('rows', 0):,} rows; {shown}"
    found.append(
        Row("writes in the database", "30 % POSTs; each id is there once", measured, rows["ok"] and share >= SHARE)
    )
    events, closes = sockets["events"], ", ".join(f"{count} {code}" for code, count in sockets["closes"].items())
    measured = (
        f"{sockets['sockets']} in {sockets['sessions']} sessions, closed: {closes}; events missed {events['missed']} "
        f"of {events['expected']:,}, {events['over_switch']:,} came over a switch"
    )
    good = sockets["ok"] and sockets["sockets"] >= SOCKETS and events["over_switch"] > 0
    found.append(Row("WebSockets", f"{SOCKETS}: kept, or closed with 1012; every event comes", measured, good))
    return [*found, ratio(r["latency"], f"{r['rate']} requests a second tried")]


def ratio(latency: Mapping[str, Mapping[str, Any]], when: str) -> Row:
    """p99 in a move beside that at rest. `when`: under which load."""
    move, rest = latency["move"], latency["rest"]
    times = move["p99"] / rest["p99"]
    measured = (
        f"{times:.1f} times: {move['p99']:.0f} ms of {move['sent']:,} requests in a move, "
        f"{rest['p99']:.0f} ms of {rest['sent']:,} at rest"
    )
    good = times <= RATIO
    return Row(f"p99 during a move, {when}", f"{RATIO:g} times that at rest", measured, good, "" if good else BUSY)


def of_last(last: Mapping[str, Sequence[float]], when: str) -> list[Row]:
    """Rows of the time from a decision to the last request on the old slot, for the kinds that were measured."""
    kinds = {
        "rollback": (f"way back, {when}, from the command on", WARM),
        "switch ready": (f"switch, {when}, from when all hosts are ready", WARM),
        "rollback cold": (f"way back to stopped slots, {when}, from the command on", COLD),
        "switch cold": (f"switch to stopped slots, {when}, from the command that stages it", COLD),
    }
    return [
        within(f"last request on the old slot: {words}", last[kind], most)
        for kind, (words, most) in kinds.items()
        if last.get(kind)
    ]


def of_upgrade(r: Mapping[str, Any]) -> list[Row]:
    """Rows of a release by the deploy."""
    return [within("release, soak 0, images present: from the command to all traffic on it", r["moved"], UPGRADE)]


def of_scale(r: Mapping[str, Any]) -> list[Row]:
    """Rows of the control machine's seconds for a host, many hosts beside few."""
    few, *_, many = sorted(r["seconds"], key=int)
    parts = {"load": "settings loaded and checked", "decide": "files decided", "dry": "`deploy.py --dry`, all of it"}
    found = []
    for part, words in parts.items():
        each = {size: r["seconds"][size][part] / int(size) * 1000 for size in (few, many)}
        measured = f"{each[many]:.2f} ms a host of {many}, {each[few]:.2f} ms of {few}"
        found.append(Row(words, f"no more than {GROWTH:g} times", measured, each[many] <= GROWTH * each[few]))
    return found


def of_watching(r: Mapping[str, Any]) -> Row:
    """Row of what the prober costs the gateway, of all the processor time that it could have."""
    more = median(r["seconds"]["probed"]) - median(r["seconds"]["rest"])
    share = more / r["cores"]
    measured = f"{share:.2%}: {more * 1000:.1f} ms a second of {r['cores']} cores, for {r['rate']:g} requests a second"
    return Row("watching: processor time of nginx for the prober", f"less than {WATCH:.0%}", measured, share < WATCH)


def table(results: Mapping[str, Any]) -> list[Row]:
    """All rows that there are figures for."""
    found: list[Row] = []
    if r := results.get("release"):
        found += of_release(r) + of_last(r["last_on_old"], "under load")
    if r := results.get("rollback"):
        found += of_last(r["seconds"], "hosts at ease")
        found.append(ratio(r["latency"], f"{r['rate']} requests a second"))
    if r := results.get("upgrade"):
        found += of_upgrade(r)
    if r := results.get("watching"):
        found.append(of_watching(r))
    return found
