"""Runs commands with a time limit and a log; a failure carries the last lines of that log."""

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import paths
from .errors import Ended, RehearsalError
from .progress import Progress

LAST_LINES = 20


class Shell:
    """Runs commands for one rehearsal command and logs each under .rehearsal/logs."""

    def __init__(self, progress: Progress, folder: Path | None = None) -> None:
        self.progress = progress
        self.folder = folder or paths.logs()
        self._running: set[subprocess.Popen[str]] = set()
        self._aborted = False

    def abort(self) -> None:
        """End every command that still runs, and start none any more."""
        self._aborted = True
        for process in list(self._running):
            end_group(process)

    def run(
        self,
        words: Sequence[str],
        log: str,
        limit: float,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        next_command: str = "",
    ) -> str:
        """Run a long command; its output goes to `log`.log.

        Arguments: `limit` in seconds; `env` is added to this process's; `input` is written to it and never logged.
        Returns what it printed. Raises RehearsalError with the log's last lines when it fails or takes too long.
        """
        if self._aborted:
            raise Ended(f"`{brief(words)}` was not started")
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{log}.log"
        lines: list[str] = []
        started = time.monotonic()
        with file.open("a") as out:
            out.write(f"\n$ {shlex.join(words)}\n")
            out.flush()
            process = _start(words, env, subprocess.STDOUT)
            self._running.add(process)
            timer = threading.Timer(limit, end_group, [process])
            timer.start()
            try:
                feeder = threading.Thread(target=_feed, args=(process, input), daemon=True)
                feeder.start()
                assert process.stdout is not None
                for text in process.stdout:
                    lines.append(text)
                    out.write(text)
                    out.flush()
                    if self.progress.verbose:
                        self.progress.say(f"   {log}: {text.rstrip()}")
                code = process.wait()
            finally:
                timer.cancel()
                end_group(process)
                self._running.discard(process)
        if code != 0 and self._aborted:
            raise Ended(f"`{brief(words)}` was ended")
        if code != 0:
            took_too_long = time.monotonic() - started >= limit
            what = f"`{brief(words)}` " + (f"was ended after {limit:.0f} s" if took_too_long else f"exited {code}")
            why = "".join(lines[-LAST_LINES:]) + f"(whole log: {file})"
            raise RehearsalError(what, why, next_command)
        return "".join(lines)

    def ask(self, words: Sequence[str], limit: float = 30, input: str | None = None) -> tuple[int, str]:
        """Run a short question; returns its exit code (124: too long, 127: no such command) and what it printed."""
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                timeout=limit,
                input=input,
                errors="replace",
                stdin=subprocess.DEVNULL if input is None else None,
            )
        except FileNotFoundError:
            return 127, ""
        except subprocess.TimeoutExpired:
            return 124, ""
        if done.returncode and self.folder.is_dir():
            with (self.folder / "questions.log").open("a") as out:
                out.write(f"$ {shlex.join(words)}\n{done.stdout}{done.stderr}(exit {done.returncode})\n")
        return done.returncode, done.stdout.strip()


def brief(words: Sequence[str]) -> str:
    """A command short enough for an error line."""
    text = shlex.join(words)
    return text if len(text) <= 90 else text[:87] + "..."


def end_group(process: "subprocess.Popen[str]") -> None:
    """End a command and its children, politely first (5 s), when it still runs."""
    if process.poll() is not None:
        return
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(5)
            return
        except (ProcessLookupError, PermissionError):
            return
        except subprocess.TimeoutExpired:
            continue


def _start(words: Sequence[str], env: Mapping[str, str] | None, stderr: int) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise RehearsalError(f"{words[0]} is not installed", "", "") from error


def _feed(process: "subprocess.Popen[str]", text: str | None) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(text or "")
        process.stdin.close()
    except BrokenPipeError:
        pass
