"""The built file as hosts run it: real processes, a real lock of the kernel, programs found on PATH."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hostcmd import build
from tests.unit.hostcmd_support import fakes
from tests.unit.hostcmd_support.world import World, folder, stand_in


class Hosts(World):
    """The same folders; `changeover` is the built file, in a process of its own."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        self.program = base / "changeover"
        build.main([str(self.program)])
        programs = base / "bin"
        programs.mkdir()
        for name in ("docker", "ssh", "systemd-run", "systemctl"):
            (programs / name).write_text(
                f'#!/bin/sh\nexec {sys.executable} -S -E {fakes.__file__} {name} "$@"\n'
            )
            (programs / name).chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "CHANGEOVER_UNDER_TEST": str(self.program),
            "CHANGEOVER_ROOT": str(self.root("edge1")),
        }

    def start(self, line: str, host: str = "edge1") -> subprocess.Popen:
        environment = self.environment | {"CHANGEOVER_ROOT": str(self.root(host))}
        pipe = subprocess.PIPE
        # the folder's own interpreter: a test machine need not have /usr/bin/python3
        words = [sys.executable, "-I", str(self.program), *line.split(), "--json"]
        return subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, line: str, host: str = "edge1") -> tuple[int, dict]:
        process = self.start(line, host)
        out, err = process.communicate(timeout=60)
        assert out, err
        return process.returncode, json.loads(out)


@pytest.fixture
def hosts(monkeypatch):
    with folder() as base:
        made = Hosts(base)
        with pytest.MonkeyPatch.context() as patch:
            stand_in(patch)
            made.install()
            made.stage("1.1.0", "green")
        yield made


def test_the_file_is_the_same_whenever_it_is_built(tmp_path):
    assert build.archive() == build.archive()
    assert build.main([str(tmp_path / "changeover")]) == 0
    assert os.access(tmp_path / "changeover", os.X_OK)
    assert build.main([]) == 2


def test_four_hosts_switch_and_go_back_over_ssh(hosts):
    code, said = hosts.run("switch tasktracker --txn T1 --lease 90")
    assert code == 0, said
    assert hosts.serving("edge2") == {"api": "green", "dashboard": "green"}
    code, said = hosts.run("rollback tasktracker", host="app2")
    assert code == 0, said
    assert hosts.serving("edge1") == hosts.serving("edge2") == {"api": "blue", "dashboard": "blue"}
    assert hosts.state("app1")["release"]["live"] == "1.0.0"


def test_two_at_once_one_switches_and_the_other_is_refused_or_late(hosts):
    first, second = (hosts.start(f"switch tasktracker --txn T{n} --lease 90") for n in (1, 2))
    ended = sorted([first.wait(60), second.wait(60)])
    assert ended[0] == 0 and ended[1] in (3, 4)
    assert hosts.state()["generation"] == 2


def test_killed_in_mid_switch_the_next_verb_puts_it_right(hosts):
    process = hosts.start("switch tasktracker --txn T1 --lease 90")
    journal = hosts.root("edge1") / "var/lib/changeover/tasktracker/journal.jsonl"
    limit = time.monotonic() + 20
    while '"kind":"begin"' not in journal.read_text().splitlines()[-1] and time.monotonic() < limit:
        time.sleep(0.002)
    process.kill()
    process.wait(20)
    assert hosts.timers()
    code, said = hosts.run("recover tasktracker")
    assert code == 0, said
    assert hosts.serving("edge1") == hosts.serving("edge2")
    code, said = hosts.run("switch tasktracker --txn T1 --lease 90")
    assert code == 0, said
    assert hosts.serving("edge1") == hosts.serving("edge2") == {"api": "green", "dashboard": "green"}
