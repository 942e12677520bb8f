"""The rows in the database: each write that was answered is there once, none is there twice."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import RehearsalError
from .clients import Sent
from .mix import Count
from .series import EXAMPLES

LIMIT = 120.0  # seconds


def rows(count: Count, ssh_config: str, prefix: str) -> dict[str, int]:
    """{id: rows} of all ids that begin with `prefix`, asked over SSH. Raises RehearsalError."""
    words = ["ssh", "-F", ssh_config, count.host, count.command]
    sql = count.sql.replace("{prefix}", prefix)
    next_command = f"ssh -F {ssh_config} {count.host} true"
    try:
        done = subprocess.run(words, input=sql, capture_output=True, text=True, timeout=LIMIT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RehearsalError("the rows could not be counted", f"{error}", next_command) from error
    if done.returncode:
        raise RehearsalError("the rows could not be counted", f"{done.stdout}{done.stderr}".strip(), next_command)
    found: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        name, _, number = line.rpartition(" ")
        found[name] += int(number)
    return dict(found)


def judge(series: Sequence[Sent], found: Mapping[str, int]) -> dict[str, Any]:
    """Compares the rows with what was sent. Pure.

    `lost`: answered as written, but not there; `twice`: more than one row; `unknown`: there, but never sent;
    `written_though_failed`: the client got no good answer, and it was written all the same (once: no mistake).
    """
    posted = {sent.id: not sent.error for sent in series if sent.id}
    lost = [one for one, answered in posted.items() if answered and one not in found]
    twice = [one for one, number in found.items() if number > 1]
    unknown = [one for one in found if one not in posted]
    return {
        "answered": sum(posted.values()),
        "rows": sum(found.values()),
        "lost": {"count": len(lost), "first": lost[:EXAMPLES]},
        "twice": {"count": len(twice), "first": twice[:EXAMPLES]},
        "unknown": {"count": len(unknown), "first": unknown[:EXAMPLES]},
        "written_though_failed": sum(one in found for one, answered in posted.items() if not answered),
        "ok": not (lost or twice or unknown),
    }
