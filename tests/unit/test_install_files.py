"""The script that puts files on a host: all or nothing, private from the first byte, and foreign files are kept."""

from __future__ import annotations

import ast
import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = (Path(__file__).resolve().parents[2] / "operations/on_host/install_files.py").read_text()
ME, MY_GROUP = str(os.getuid()), str(os.getgid())
WRITTEN = 'WRITTEN = "/var/lib/changeover/written"'


def file(path: Path, content: str | bytes = "new\n", **values: str) -> dict[str, str]:
    sent = base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()
    return {"path": str(path), "content": sent, "mode": "644", "owner": ME, "group": MY_GROUP, **values}


def folder(path: Path, **values: str) -> dict[str, str]:
    return {"path": str(path), "mode": "750", "owner": ME, "group": MY_GROUP, **values}


class Host:
    """A folder that stands for a host's disk, and the script run on it in a process of its own."""

    def __init__(self, root: Path):
        self.root = root
        self.etc = root / "etc"
        self.etc.mkdir()
        assert SCRIPT.count(WRITTEN) == 1
        self.script = SCRIPT.replace(WRITTEN, f"WRITTEN = {str(root / 'var/written')!r}")

    def payload(
        self, *files: dict[str, str], directories: list[dict[str, str]] | None = None, check: list[str] | None = None
    ) -> str:
        checked: dict[str, Any] | None = {"root": str(self.etc), "command": check} if check else None
        return json.dumps({"directories": directories or [], "files": files, "check": checked})

    def install(self, *files: dict[str, str], **values: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", self.script]
        payload = self.payload(*files, **values)
        return subprocess.run(command, input=payload, capture_output=True, text=True, timeout=30)

    def tree(self) -> dict[str, str]:
        """{path below etc: content}, whatever it is."""
        return {str(p.relative_to(self.etc)): p.read_text() for p in self.etc.rglob("*") if not p.is_dir()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_and_folders_are_there_with_their_modes(host: Host) -> None:
    secret = host.etc / "secrets/TOKEN"
    run = host.install(
        file(host.etc / "a.conf", "one é\r\n"),
        file(secret, "hunter2", mode="400"),
        directories=[folder(host.etc / "secrets", mode="700")],
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (host.etc / "a.conf").read_bytes() == "one é\r\n".encode()
    assert (mode(host.etc / "a.conf"), mode(secret), mode(secret.parent)) == (0o644, 0o400, 0o700)
    assert sorted(host.tree()) == ["a.conf", "secrets/TOKEN"]


def test_a_host_in_another_language_gets_the_same_bytes(host: Host) -> None:
    command = [sys.executable, "-X", "utf8=0", "-c", host.script]
    environment = {"LC_ALL": "C", "PATH": os.environ["PATH"], "PYTHONCOERCECLOCALE": "0"}
    text = host.payload(file(host.etc / "a.conf", "é€😀\n"))
    run = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    assert (host.etc / "a.conf").read_bytes() == "é€😀\n".encode()


def test_a_second_run_keeps_no_copy_of_our_own_file(host: Host) -> None:
    host.install(file(host.etc / "a.conf", "one\n"))
    run = host.install(file(host.etc / "a.conf", "two\n"))
    assert run.stdout == ""
    assert host.tree() == {"a.conf": "two\n"}


def test_somebody_elses_file_is_kept_and_said(host: Host) -> None:
    foreign = host.etc / "nginx.conf"
    foreign.write_text("theirs\n")
    foreign.chmod(0o640)
    run = host.install(file(foreign, "ours\n"))
    (kept,) = host.etc.glob("nginx.conf.before-changeover-*")
    assert run.stdout == f"kept the file that was there: {kept}\n"
    assert (kept.read_text(), mode(kept)) == ("theirs\n", 0o640)
    assert foreign.read_text() == "ours\n"
    assert host.install(file(foreign, "ours again\n")).stdout == ""


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(host: Host) -> None:
    target = host.root / "elsewhere"
    target.write_text("theirs\n")
    (host.etc / "a.conf").symlink_to(target)
    assert host.install(file(host.etc / "a.conf", "ours\n")).returncode == 0
    assert target.read_text() == "theirs\n"
    assert not (host.etc / "a.conf").is_symlink()
    (kept,) = host.etc.glob("a.conf.before-changeover-*")
    assert os.readlink(kept) == str(target)


@pytest.mark.parametrize("passes", [True, False])
def test_the_checker_sees_a_copy_of_all_files(host: Host, passes: bool) -> None:
    host.install(file(host.etc / "old.conf", "old\n"))
    program = (
        "import os, sys; root = sys.argv[1]; print(sorted(os.listdir(root)), open(root + '/a.conf').read());"
        f" sys.exit({int(not passes)})"
    )
    check = [sys.executable, "-c", program, "{}"]
    run = host.install(file(host.etc / "a.conf", "bad"), directories=[folder(host.etc / "new")], check=check)
    if passes:
        assert run.returncode == 0
        assert host.tree() == {"old.conf": "old\n", "a.conf": "bad"}
    else:
        assert run.returncode == 1
        assert "nothing was changed:\n['a.conf', 'old.conf'] bad" in run.stderr
        assert host.tree() == {"old.conf": "old\n"}
        assert not (host.etc / "new").exists()
    assert [p.name for p in host.root.iterdir() if p.name.startswith(".changeover-")] == []


def test_a_checker_that_is_not_there_is_one_message(host: Host) -> None:
    run = host.install(file(host.etc / "a.conf"), check=["/no/such/daemon", "{}"])
    assert run.returncode == 1
    assert run.stderr.startswith("/no/such/daemon {} did not answer; nothing was changed:\n")
    assert "Traceback" not in run.stderr
    assert host.tree() == {}


def test_the_checkers_folder_need_not_exist_yet(host: Host) -> None:
    payload = json.loads(host.payload(file(host.etc / "x/y/a.conf"), check=["true", "{}"]))
    payload["check"]["root"] = str(host.etc / "x/y")
    command = [sys.executable, "-c", host.script]
    run = subprocess.run(command, input=json.dumps(payload), capture_output=True, text=True, timeout=30)
    assert (run.returncode, run.stderr) == (0, "")


IMPOSSIBLE = {
    "unknown owner": (lambda etc: [file(etc / "a"), file(etc / "b", owner="nobody-here")], "b: no owner nobody-here"),
    "unknown group": (lambda etc: [file(etc / "a"), file(etc / "b", group="nobody-here")], "b: no group nobody-here"),
    "a folder is there": (lambda etc: [file(etc / "a"), file(etc / "folder")], "folder is a folder, a file must be"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_said_before_anything_is_changed(host: Host, name: str) -> None:
    files, message = IMPOSSIBLE[name]
    (host.etc / "folder").mkdir()
    run = host.install(*files(host.etc), directories=[folder(host.etc / "new")])
    assert run.returncode == 1
    assert message in run.stderr and "nothing was changed" in run.stderr and "Traceback" not in run.stderr
    assert sorted(p.name for p in host.etc.iterdir()) == ["folder"]


def test_a_failure_while_writing_leaves_no_temporary_files(host: Host) -> None:
    (host.etc / "file").write_text("in the way of a folder")
    run = host.install(file(host.etc / "a.conf"), file(host.etc / "file/b.conf"))
    assert run.returncode == 1
    assert host.tree() == {"file": "in the way of a folder"}


def test_a_full_disk_is_one_message(host: Host) -> None:
    host.script = host.script.replace("file.write(", "raise OSError(28, os.strerror(28)); file.write(")
    done = host.install(file(host.etc / "a"))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"{host.etc / 'a'} cannot be written: No space left on device; no file was replaced")
    assert host.tree() == {}


def test_a_planted_link_is_not_written_through(host: Host) -> None:
    victim = host.root / "passwd"
    victim.write_text("root:x\n")
    (host.etc / "a.conf.changeover-new").symlink_to(victim)
    assert host.install(file(host.etc / "a.conf", "ours\n")).returncode == 0
    assert victim.read_text() == "root:x\n"
    assert host.tree() == {"a.conf": "ours\n"}


def test_a_file_planted_between_two_steps_is_not_written_to(host: Host) -> None:
    planted = host.etc / "TOKEN.changeover-new"
    racing = (
        "import os\nreal = os.unlink\n"
        "def unlink(path):\n"
        f"    if not os.path.exists({str(planted)!r}): open({str(planted)!r}, 'w').close()\n"
        "os.unlink = unlink\n"
    )
    host.script = racing + host.script
    run = host.install(file(host.etc / "TOKEN", "hunter2", mode="400"))
    assert run.returncode == 1 and "File exists" in run.stderr
    assert host.tree() == {"TOKEN.changeover-new": ""}


def test_leftovers_of_a_killed_run_are_replaced_and_nobody_reads_through_them(host: Host) -> None:
    leftover = host.etc / "TOKEN.changeover-new"
    leftover.write_text("half")
    leftover.chmod(0o666)
    with leftover.open() as open_already:
        assert host.install(file(host.etc / "TOKEN", "hunter2", mode="400")).returncode == 0
        assert open_already.read() == "half"
    assert host.tree() == {"TOKEN": "hunter2"}
    assert mode(host.etc / "TOKEN") == 0o400


@pytest.mark.parametrize("call, number", [("os.fsync", 0), ("os.fsync", 2), ("os.replace", 0), ("os.replace", 2)])
def test_a_run_killed_half_way_leaves_whole_files_and_the_next_one_ends_it(host: Host, call: str, number: int) -> None:
    paths = [host.etc / f"{name}.conf" for name in "abcd"]
    host.install(*(file(path, "old\n") for path in paths))
    dying = (
        f"import os, signal\nreal, calls = {call}, []\n"
        "def dying(*words):\n"
        f"    if len(calls) == {number}: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"    calls.append(words); return real(*words)\n{call} = dying\n"
    )
    whole, host.script = host.script, dying + host.script
    assert host.install(*(file(path, "new\n") for path in paths)).returncode == -9
    replaced = number if call == "os.replace" else 0
    assert [path.read_text() for path in paths] == ["new\n"] * replaced + ["old\n"] * (4 - replaced)
    assert list(host.etc.glob("*.changeover-new")), "the run was not killed in the middle"
    host.script = whole
    assert host.install(*(file(path, "new\n") for path in paths)).stdout == ""
    assert host.tree() == {path.name: "new\n" for path in paths}


def test_it_runs_on_the_python_of_an_old_host_without_packages() -> None:
    tree = ast.parse(SCRIPT, feature_version=(3, 8))
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imports and imports <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
