"""python -m bench: measures, keeps the figures in bench/results.json, writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from datetime import UTC, datetime

from bench import figures, noop, rehearsal
from bench.run import BenchError, run

ALL = ["rehearsal-cold", "rehearsal-warm", "noop"]  # the hosts are up at the end


def main(words: list[str] | None = None) -> int:
    """Measures what is asked for; exit code 0, or 1 when a figure could not be had. A missed target is only written."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figure", nargs="*", metavar="FIGURE", help=f"{', '.join(ALL)}; all, in this order, when none")
    parser.add_argument("--inventory", default="inventories/staging.py", help="for noop (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs, for noop (%(default)s)")
    parser.add_argument("--note", help="what else a reader of the figure should know")
    asked = parser.parse_args(words)
    if asked.runs < 1 or set(asked.figure) - set(ALL):
        parser.error(f"figures are {', '.join(ALL)}; --runs is 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that rendered secrets are removed
    try:
        for name in asked.figure or ALL:
            about = {
                "command": f"python -m bench {name}" + (f" --runs {asked.runs}" if name == "noop" else ""),
                "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
                "commit": commit(),
                "machine": figures.machine(),
            }
            measured = noop.measure(asked.inventory, asked.runs) if name == "noop" else rehearsal.measure(name)
            figures.save(name, {**about, **measured, **({"note": asked.note} if asked.note else {})})
    except (BenchError, ValueError) as error:
        print(f"error  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f" {figures.PAGE}")
    return 0


def commit() -> str:
    """The commit that is measured; marked where files differ from it, the figures' own left out."""
    short = run(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    others = [f":!{path}" for path in (figures.RESULTS, figures.PAGE)]
    differs = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", *others], timeout=60).returncode
    return f"{short} with changes" if differs else short


if __name__ == "__main__":
    sys.exit(main())
