"""Which docker client is chosen, when an engine may be installed, and what stops a command."""

import io
import time
from pathlib import Path

import pytest

from rehearsal import engine
from rehearsal.errors import Ended, RehearsalError
from rehearsal.progress import Progress, line, seconds
from rehearsal.shell import Shell
from rehearsal.up import finish


@pytest.mark.parametrize(
    ("buildx", "version", "able"),
    [(True, "28.2.2", True), (False, "28.2.2", False), (False, "20.10.24+dfsg1", True), (False, "", False)],
)
def test_a_client_must_be_able_to_build(buildx: bool, version: str, able: bool) -> None:
    assert engine.can_build(buildx, version) is able


def test_the_first_client_that_can_build_is_chosen(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("new", "28.2.2"), ("old", "20.10.24+dfsg1")):
        client = tmp_path / name / "docker"
        client.parent.mkdir()
        client.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Docker version {version}, build x"\n')
        client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/new:{tmp_path}/old")
    assert engine.choose_client(shell) == f"{tmp_path}/old/docker"


def test_root_on_debian_may_install_and_others_are_told_how() -> None:
    assert engine.missing(0, True, False) == ""
    assert "docker group" in engine.missing(1000, True, True)
    assert "as root on Debian" in engine.missing(1000, False, False)


def test_the_bounding_set_is_read() -> None:
    assert not engine.bounding_set_has("CapEff:\t0\nCapBnd:\t000001fffeffffff\n", engine.CAP_SYS_RESOURCE)
    assert engine.bounding_set_has("CapBnd:\t000001ffffffffff\n", engine.CAP_SYS_RESOURCE)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(Progress(stream=io.StringIO()), tmp_path / "logs")


def test_a_failure_shows_the_last_lines_and_the_log(shell: Shell) -> None:
    with pytest.raises(RehearsalError) as caught:
        shell.run(["sh", "-c", "seq 100; exit 3"], "count", 10, next_command="make it so")
    text = caught.value.text()
    assert "exited 3" in text and "100" in text and "count.log" in text and "next   make it so" in text
    assert "\n       80\n" not in text and "\n       81\n" in text


def test_a_command_that_takes_too_long_is_ended_with_its_children(shell: Shell) -> None:
    began = time.monotonic()
    with pytest.raises(RehearsalError, match="was ended after"):
        shell.run(["sh", "-c", "sleep 60 & sleep 60"], "slow", 0.3)
    assert time.monotonic() - began < 5


def test_input_is_not_logged(shell: Shell) -> None:
    assert shell.run(["sh", "-c", "wc -c"], "secret", 5, input="geheim").strip() == "6"
    assert "geheim" not in (shell.folder / "secret.log").read_text()


def test_a_question_never_raises(shell: Shell) -> None:
    assert shell.ask(["no-such-command-here"]) == (127, "")
    assert shell.ask(["sleep", "5"], limit=0.1) == (124, "")


def test_the_reason_is_told_not_what_it_ended(shell: Shell) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(shell.run, ["sleep", "30"], "slow", 60)
        wrong = pool.submit(shell.run, ["sh", "-c", "sleep 0.3; exit 4"], "wrong", 60)
        with pytest.raises(RehearsalError, match="exited 4"):
            finish([slow, wrong], shell.abort)
    assert isinstance(slow.exception(), Ended)
    with pytest.raises(Ended):
        shell.run(["true"], "late", 5)


def test_times_as_people_read_them() -> None:
    assert [seconds(value) for value in (0.44, 9.94, 9.96, 99.4, 125)] == [
        "0.4 s",
        "9.9 s",
        "10 s",
        "99 s",
        "2 min 05 s",
    ]
    assert line("host", "built", 3).split() == ["host", "built", "3.0", "s"]


def test_a_step_prints_one_line_when_it_ends() -> None:
    out = io.StringIO()
    progress = Progress(stream=out)
    with progress.step("host") as step:
        step.outcome = "built"
    with pytest.raises(ValueError), progress.step("registry"):
        raise ValueError
    progress.close()
    assert [text.split()[:2] for text in out.getvalue().splitlines()] == [["host", "built"], ["registry", "failed"]]
