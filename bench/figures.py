"""Numbers out of other programs' output, the machine they were measured on, and the page that shows them."""

from __future__ import annotations

import json
import os
import platform
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench import rows

RESULTS = Path("bench/results.json")
PAGE = Path("docs/benchmarks.md")
RECAP = re.compile(r"^\S+\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
TARGETS = {"noop": 15, "ratio": 10, "rehearsal-cold": 480, "rehearsal-warm": 120, "memory": 8}  # s, times, s, s, GiB


def changes(output: str) -> list[str]:
    """What `pyinfra --json` or ansible-playbook say they changed. ValueError: they say nothing, or that they failed."""
    if hosts := RECAP.findall(output):
        changed, unreachable, failed = (sum(int(row[column]) for row in hosts) for column in range(3))
        bad = unreachable + failed
        lines = [line for line in output.splitlines() if line.startswith("changed: ")]
    elif results := json.loads(output).get("results"):
        changed, bad = results["totals"]["success"], results["totals"]["error"]
        lines = [f"{o['name']}: {' '.join(o['success'])}" for o in results["operations"] if o["success"]]
    else:
        raise ValueError("neither pyinfra's totals nor Ansible's recap in the output")
    if bad:
        raise ValueError(f"{bad} failures")
    return lines or [f"{changed} changes"] if changed else []


def available(meminfo: str) -> int:
    """MemAvailable of the text of /proc/meminfo, in MiB. ValueError without it."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    if not found:
        raise ValueError("no MemAvailable in /proc/meminfo")
    return int(found[1]) // 1024


def peak(samples: Sequence[int]) -> int:
    """Most memory in use beyond the first sample, in MiB, of samples of MemAvailable."""
    return samples[0] - min(samples)


def spread(seconds: Sequence[float]) -> str:
    """Median, least and most, as a cell of a table."""
    return f"{median(seconds):.1f} s ({min(seconds):.1f} to {max(seconds):.1f})"


def machine() -> dict[str, Any]:
    """Cores, memory in GiB, kernel, and the load (1 minute) before the measurement. No names."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    return {
        "cores": os.cpu_count(),
        "memory": round(pages / 2**30),
        "kernel": kernel,
        "load": round(os.getloadavg()[0], 1),
    }


def save(name: str, result: Mapping[str, Any], results: Path = RESULTS, shown: Path = PAGE) -> None:
    """Puts one figure among the results, the others stay; writes the page anew."""
    found = json.loads(results.read_text()) if results.exists() else {}
    found[name] = result
    results.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    shown.write_text(page(found))


def page(results: Mapping[str, Any]) -> str:
    """The page of all results; it says of those that were not measured yet that they were not."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"spread": spread, "median": median, "seconds": rows.seconds}
    noop = results.get("noop")
    whole, plain = (
        median(noop["seconds"][f"ansible{what}"]) / median(noop["seconds"][f"pyinfra{what}"]) if noop else 0
        for what in ("", "-plain")
    )
    known = defaultdict(lambda: None, results)
    ratios = {"whole": whole, "plain": plain}
    text = made.get_template("page.md.j2").render(
        results=known, noop=noop, targets=TARGETS, rows=rows.table(results), of_scale=rows.of_scale, **ratios
    )
    return text.rstrip() + "\n"
