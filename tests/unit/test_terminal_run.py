"""The terminal's frames around pyinfra itself, on hosts that are not there: in a pipe, and on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from test_guards import PYINFRA, ROOT, Case, end, environment, repository, start

PHASE = """
from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation
from operations import flow
@operation()
def does(words):
    for word in words:
        yield StringCommand(word)
@operation()
def says(text):
    def go(state, host):
        host.log_styled(text, fg="green")
        return True
    yield FunctionCommand(go, (), {})
@deploy("stack")
def phase():
    STEPS
phase()
flow.barrier(name="BARRIER")
"""
FIRST = 'does(name="tiny: nothing to do", words=[])'
SECOND = """does(name=flow.at_most("tiny: layer 2 is up", 90), words=["start it"])
    does(name="tiny: layer 2 is ready", words=["ask it"])
    if host.name.endswith("app1"):
        says(name="tiny: it is said", text="integration tests: 3 passed")"""
DEPLOY = """
from pyinfra import local
from operations import run
run.live("tiny")
local.include("phases/first.py")
local.include("phases/services.py")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """A repository whose deploy has two phases; `app1`: further data of that host."""

    def make(app1: str = "{}", steps: str = SECOND) -> Path:
        root = repository(tmp_path, Case(""))
        inventory = root / "inventories/staging.py"
        inventory.write_text(inventory.read_text() + f"\napp[0][1].update({app1})\n")
        (root / "deploy.py").write_text(DEPLOY)
        for name, these in (("first", FIRST), ("services", steps)):
            text = PHASE.replace("STEPS", these).replace("BARRIER", f"all have {name}")
            (root / "phases" / f"{name}.py").write_text(text)
        return root

    return make


def test_a_run_is_a_line_a_phase(tree: Callable[..., Path]) -> None:
    root = tree()
    ended = end(start(root, "inventories/staging.py deploy.py -y"), root)
    lines = [line.rsplit("  ", 1)[0].rstrip() if line.endswith(" s") else line for line in ended.lines]
    assert ended.code == 0
    begun = next(n for n, line in enumerate(lines) if line.startswith("Changeover "))
    assert "tiny (not installed yet)   staging   3 hosts   by " in lines[begun]
    assert lines[begun + 2 : begun + 6] == [
        " first          tiny: nothing to do on @fake/edge1 @fake/app1 @fake/app2",
        " services       [@fake/app1]  integration tests: 3 passed",
        "                tiny: layer 2 is up; layer 2 is ready on @fake/edge1 @fake/app1 @fake/app2; "
        "it is said on @fake/app1",
        "",
    ]
    assert lines[begun + 6].startswith(" done        tiny ") and lines[-1].startswith(" report ")
    assert begun < 5 and not any("Starting operation" in line or "Success" in line for line in lines)


def test_pyinfras_own_lines_are_there_for_who_wants_them(tree: Callable[..., Path]) -> None:
    root = tree()
    text = "\n".join(end(start(root, "inventories/staging.py deploy.py -y -v"), root).lines)
    assert "--> Starting operation: phases/services.py | stack | tiny: layer 2 is up" in text
    assert "[@fake/app1]  Success" in text and "Grand total" in text and "Changeover " not in text


def test_what_fails_is_shown_whole_in_its_place(tree: Callable[..., Path]) -> None:
    says = '{"success": False, "stdout": ["starting"], "stderr": ["no such table: atoms", "exit"]}'
    root = tree(app1=f'fake_responses={{"start it": {says}}}')
    ended = end(start(root, "inventories/staging.py deploy.py -y"), root)
    assert ended.code == 1, ended.lines
    order = [
        " first          tiny: nothing to do on",
        " services       [@fake/app1]  starting",
        "                [@fake/app1]  no such table: atoms",
        "                [@fake/app1]  exit",
        "                [@fake/app1]  Error: executed 0 commands",
        "                tiny: layer 2 is up on @fake/edge1 @fake/app2; failed: tiny: layer 2 is up on @fake/app1",
        " failed      tiny",
        " where       @fake/app1: tiny: layer 2 is up",
    ]
    found = [next((n for n, line in enumerate(ended.lines) if line.startswith(words)), -1) for words in order]
    assert -1 not in found and found == sorted(found), "\n".join(ended.lines)


def test_a_fault_in_the_frames_ends_no_run(tree: Callable[..., Path]) -> None:
    root = tree()
    (root / "config.py").unlink()
    broken = "\nfrom changeover import terminal\nterminal.opening = lambda *words: 1 / 0\n"
    (root / "config.py").write_text((ROOT / "config.py").read_text() + broken)
    ended = end(start(root, "inventories/staging.py deploy.py -y"), root)
    text = "\n".join(ended.lines)
    assert ended.code == 0 and " done        tiny " in text
    assert "is pyinfra's own from here on: ZeroDivisionError" in text and "Grand total" in text


@pytest.mark.parametrize("variable", ["", "NO_COLOR"])
def test_on_a_terminal_what_is_waited_for_is_seen_at_once(tree: Callable[..., Path], variable: str) -> None:
    root = tree(app1="fake_delay=2.5")
    ours, theirs = pty.openpty()
    words = [PYINFRA, "inventories/staging.py", "deploy.py", "-y"]
    more = {"TERM": "xterm", "COLUMNS": "80", **({variable: "1"} if variable else {})}
    run = subprocess.Popen(words, cwd=root, env={**environment(), **more}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 65536):
            text += data
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
        code = run.wait(30)
    seen = text.decode()
    assert code == 0, seen
    status = [part for part in seen.replace("\n", "\r").split("\r") if "waits for @fake/app1" in part]
    assert status and " services       tiny: layer 2 is up: " in seen and " of 1 m 30 s at most" in seen
    assert "they are asked what they are" in seen or "\x1b[K" in seen
    assert max(map(len, status)) <= 80 + len("\x1b[K")
    assert ("\x1b[32m" in seen) != bool(variable), "colour, unless it is not wanted"
