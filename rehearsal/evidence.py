"""docs/faults.md from a run of the tests on the rehearsal's hosts: python -m rehearsal.evidence JUNIT.xml"""

from __future__ import annotations

import ast
import datetime as dt
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

from .paths import ROOT

HEAD = """# Faults and what they did

Each row was run on the rehearsal's five hosts (or one bare one) by `make rehearsal-full`, on {date} UTC at commit
{commit}: {passed} passed, {failed} failed, in {minutes:.0f} minutes. A fault of a release ends by checking that exactly
one release serves everywhere and that nothing is left open; a fault of a deploy, that the next one has nothing to do.

| test | result | seconds |
|---|---|---|
"""


def page(junit: Path) -> str:
    """The page of a finished run. Raises OSError and ParseError for a file that is none."""
    cases = list(xml.parse(junit).getroot().iter("testcase"))
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
    return head + "".join(row(case, case in bad) for case in cases)


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
    print(page(Path(sys.argv[1])), end="")
