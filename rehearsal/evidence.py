"""docs/faults.md from runs of the tests on the rehearsal's hosts: python -m rehearsal.evidence JUNIT.xml ...

Of several runs the last one of each test counts.
"""

from __future__ import annotations

import ast
import datetime as dt
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

from .paths import ROOT

HEAD = """# Faults and what they did

Each row was run on the rehearsal's five hosts (or one bare one), written on {date} UTC at commit {commit}:
{passed} passed, {failed} failed, in {minutes:.0f} minutes. `make rehearsal-full` runs them all.

## Faults of a release

Each is `python -m rehearsal fault NAME`: a deploy of the other release under a load of 25 requests a second (30 % are
written), soak 12 s, lease 15 s; the fault comes in the middle. Asked afterwards, with the fault still there where that
is possible, mended, and after the same deploy again: exactly one release serves on the gateway and on every application
host asked directly, the old one unless the new one was confirmed; all hosts say the same; nothing is left open; each
write is found exactly once; a further deploy changes nothing; the audit is whole.

`lost` is of all requests from before the fault to after the second deploy. `back` is how many seconds the new release
served after the fault, until only the old one did (at most lease + 5). `exit` is the deploy's code; `killed`: it was
the fault itself.

| fault | what was done | lost | back | exit | the deploy's first words | result |
|---|---|---|---|---|---|---|
"""
REST = """
## Further tests on the hosts

| test | result | seconds |
|---|---|---|
"""


def page(*junits: Path) -> str:
    """The page of finished runs. Raises OSError and ParseError for a file that is none."""
    every = [case for junit in junits for case in xml.parse(junit).getroot().iter("testcase")]
    cases = list({(case.get("classname"), case.get("name")): case for case in every}.values())
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    head = HEAD.format(
        date=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M}",
        commit=commit.stdout.strip(),
        passed=len(cases) - len(bad),
        failed=len(bad),
        minutes=sum(float(case.get("time", 0)) for case in cases) / 60,
    )
    faults = [case for case in cases if seen(case)]
    rest = [case for case in cases if case not in faults]
    return (
        head
        + "".join(fault_row(case, case in bad) for case in faults)
        + REST
        + "".join(row(case, case in bad) for case in rest)
    )


def seen(case: xml.Element) -> dict[str, str]:
    """What a fault's verdict says; empty for another test."""
    return {one.get("name", ""): one.get("value", "") for one in case.iter("property")}


def fault_row(case: xml.Element, failed: bool) -> str:
    """A line of the table of faults."""
    found = {key: value.replace("|", "/") for key, value in seen(case).items()}
    result = "**failed**" if failed else "as it must"
    cells = (found["fault"], found["does"], found["lost"], found["back"], found["code"], found["words"][:150], result)
    return f"| {' | '.join(cells)} |\n"


def row(case: xml.Element, failed: bool) -> str:
    """A line of the table: the test's name in words, and its own first sentence where it has one."""
    name = case.get("name", "").removeprefix("test_").replace("_", " ")
    words = f"{name}: {said}" if (said := sentence(case)) else name
    return f"| {words} | {'**failed**' if failed else 'as it must'} | {float(case.get('time', 0)):.0f} |\n"


def sentence(case: xml.Element) -> str:
    """The first line of the test's docstring; empty where it has none."""
    file = ROOT / (case.get("classname", "").replace(".", "/") + ".py")
    function = case.get("name", "").partition("[")[0]
    if file.exists():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == function:
                return (ast.get_docstring(node) or "").split("\n")[0]
    return ""


if __name__ == "__main__":
    print(page(*map(Path, sys.argv[1:])), end="")
