"""python -m bench: measures, keeps the figures in bench/results.json, writes docs/benchmarks.md.

All figures together take about an hour on 2 cores.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bench import figures, noop, rehearsal, release, rollback, scale, upgrade, watching
from bench.run import BenchError, run

# In this order: hosts that are down, then up with nothing to do, then releases. They are up at the end. Minutes each.
MINUTES = {
    "rehearsal-cold": 8, "rehearsal-warm": 2, "noop": 8, "scale": 2, "watching": 4, "upgrade": 7, "rollback": 6,
    "release": 22,
}  # fmt: skip
ALL = list(MINUTES)


def main(words: list[str] | None = None) -> int:
    """Measures what is asked for; exit code 0, or 1 when a figure could not be had. A missed target is only written."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figure", nargs="*", metavar="FIGURE", help=f"{', '.join(ALL)}; all, in this order, when none")
    parser.add_argument("--inventory", default="inventories/staging.py", help="for noop (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs or moves, but for release (%(default)s)")
    parser.add_argument("--requests", type=int, default=200_000, help="for release, at least (%(default)s)")
    parser.add_argument("--switches", type=int, default=50, help="for release, and as many back (%(default)s)")
    parser.add_argument("--note", help="what else a reader of the figure should know")
    asked = parser.parse_args(words)
    if min(asked.runs, asked.requests, asked.switches) < 1 or set(asked.figure) - set(ALL):
        parser.error(f"figures are {', '.join(ALL)}; numbers are 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that rendered secrets are removed
    try:
        for name in asked.figure or ALL:
            print(f" {name:<10} takes about {MINUTES[name]} minutes", flush=True)
            options, measured_by = figure(name, asked)
            about = {
                "command": f"python -m bench {name}{options}",
                "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
                "commit": commit(),
                "machine": figures.machine(),
            }
            measured = measured_by()
            figures.save(name, {**about, **measured, **({"note": asked.note} if asked.note else {})})
    except (BenchError, ValueError) as error:
        print(f"error  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f" {figures.PAGE}")
    return 0


def figure(name: str, asked: argparse.Namespace) -> tuple[str, Callable[[], dict[str, Any]]]:
    """The words of a figure's command, and what measures it."""
    runs = f" --runs {asked.runs}"
    if name == "noop":
        return runs, lambda: noop.measure(asked.inventory, asked.runs)
    if name == "scale":
        return runs, lambda: scale.measure(asked.runs)
    if name == "watching":
        return runs, lambda: watching.measure(asked.runs)
    if name == "upgrade":
        return runs, lambda: upgrade.measure(asked.runs)
    if name == "rollback":
        return runs, lambda: rollback.measure(asked.runs)
    if name == "release":
        words = f" --requests {asked.requests} --switches {asked.switches}"
        return words, lambda: release.measure(asked.requests, asked.switches)
    return "", lambda: rehearsal.measure(name)


def commit() -> str:
    """The commit that is measured; marked where files differ from it, the figures' own left out."""
    short = run(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    others = [f":!{path}" for path in (figures.RESULTS, figures.PAGE)]
    differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", *others], timeout=60).returncode
    return f"{short} with changes" if differs else short


if __name__ == "__main__":
    sys.exit(main())
