"""What a person sees of a run with -y: framed by phase, with what a long step waits for; pyinfra's own lines with -v.

pyinfra prints a line for each step and host: hundreds. Only what is its routine is left out, known by its level (INFO)
and by who says it (pyinfra itself): what a step says, warnings, errors and the output of what failed are all shown.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import gevent
import pyinfra
from pyinfra.api.output import format_text, set_formatter
from pyinfra.api.state import BaseStateCallback

from changeover import terminal
from operations import flow, run

EVERY = 1.0  # seconds between two looks at what runs
MOMENT = 3.0  # seconds between two steps that need no word
BEFORE = "hosts"  # what the time before the first phase is called
HEARTBEAT = 20.0  # seconds of silence after which a log is told what runs
COLOURS = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}
OWN = Path(pyinfra.__file__).parent.parent
ROUTINE = {OWN / "pyinfra", OWN / "pyinfra_cli"}
SPOKEN = (str(OWN / "pyinfra" / "api" / "host.py"), "log")  # where pyinfra says what a step wants said


def _harmless(method: Callable[..., Any]) -> Callable[..., Any]:
    """A fault in what is only shown never ends a run: pyinfra's own output takes its place."""

    @functools.wraps(method)
    def tried(self: Frames, *words: Any, **more: Any) -> None:
        if self.off:
            return
        try:
            method(self, *words, **more)
        except Exception as error:
            self.end()
            pyinfra.logger.warning(f"what is shown of this run is pyinfra's own from here on: {error!r}")

    return tried


class Frames(BaseStateCallback, logging.Handler):
    """Takes the place of pyinfra's log on the terminal, and hears of each step."""

    def __init__(self, state: Any, stream: Any):
        logging.Handler.__init__(self)
        self.state, self.stream = state, stream
        self.tty = bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
        self.width = min(shutil.get_terminal_size().columns, 100) if self.tty else 0
        self.before = list(pyinfra.logger.handlers)
        self.off = False
        self.phase, self.labelled = BEFORE, False  # the phase, and whether a line has its name already
        self.steps: dict[str, terminal.Step] = {}
        self.begun = self.ended = self.spoke = self.idle = time.monotonic()
        self.step, self.op_hash, self.since = "", "", self.begun
        self.at_it: list[str] = []
        self.opened = False
        pyinfra.logger.handlers[:] = [self]
        os.environ["PYINFRA_PROGRESS"] = "off"  # its spinner would write over ours
        self.ticker = gevent.spawn(self._tick)

    # What is said

    @_harmless
    def emit(self, record: logging.LogRecord) -> None:
        """A line of pyinfra's: shown under its phase, unless it is routine."""
        if shown(record):
            text = str(record.getMessage())
            text = format_text(text, COLOURS[record.levelno]) if record.levelno in COLOURS else text
            if "-->" in text:  # pyinfra's own last word
                self._print(["", *text.splitlines()])
            else:
                self.say(text)

    def say(self, text: str) -> None:
        """Words of a step, whole and at once; below the name of their phase."""
        for part in text.splitlines():
            self._print([f" {'' if self.labelled else self.phase:<{terminal.LABEL}} {part}"])
            self.labelled = True

    def _print(self, told: list[str]) -> None:
        self.spoke = time.monotonic()
        for line in told:
            click.echo(line, err=True)

    # What pyinfra does

    @_harmless
    def operation_start(self, state: Any, op_hash: str) -> None:  # type: ignore[override]
        """A step begins, perhaps a new phase."""
        if not self.opened:
            self.opened = True
            self._open()
        phase, name, counts = parts(next(iter(state.op_meta[op_hash].names), "step"))
        if phase is not None and phase != self.phase:
            self._close()
            # The first one has begun with the run: all hosts were looked at for it before pyinfra came to a step.
            self.begun = self.begun if self.phase == BEFORE else time.monotonic()
            self.phase = phase
        self.step, self.op_hash, self.since, self.at_it = name, op_hash, time.monotonic(), []
        flow.DOING.clear()
        if counts:
            self.steps.setdefault(name, terminal.Step(name))

    @_harmless
    def operation_host_start(self, state: Any, host: Any, op_hash: str) -> None:  # type: ignore[override]
        """A step begins on a host."""
        if op_hash in state.ops[host]:
            self.at_it.append(host.name)

    @_harmless
    def operation_host_success(self, state: Any, host: Any, op_hash: str, retry_count: int = 0) -> None:  # type: ignore[override]
        """A step is done on a host; whether it changed something, pyinfra only knows when it ends on all."""
        self._done(host.name)

    @_harmless
    def operation_host_error(self, state: Any, host: Any, op_hash: str, *_: Any, **__: Any) -> None:  # type: ignore[override]
        """A step failed on a host."""
        self._done(host.name)
        if self.step in self.steps:
            self.steps[self.step].failed.append(host.name)

    @_harmless
    def operation_end(self, state: Any, op_hash: str) -> None:  # type: ignore[override]
        """A step has ended on all hosts."""
        self.ended = time.monotonic()
        self._count()
        self.step = ""

    @_harmless
    def host_disconnect(self, state: Any, host: Any) -> None:  # type: ignore[override]
        """The run is over."""
        self._close()

    @_harmless
    def finish(self) -> None:
        """The last phase is closed, whatever ended the run; then the recorder has the word."""
        self._close()
        self.end()

    def end(self) -> None:
        """pyinfra's own output is back."""
        self.off = True
        self.ticker.kill(block=False)
        pyinfra.logger.handlers[:] = self.before

    # What is shown

    def _done(self, name: str) -> None:
        self.at_it = [one for one in self.at_it if one != name]
        self.idle = time.monotonic()

    def _open(self) -> None:
        phases = {parts(next(iter(meta.names), ""))[0] for meta in self.state.op_meta.values()}
        to = run.concerned()
        states = {name: run.live(name) for name in to if run.was_asked(name)}
        count, whole = len(self.state.activated_hosts), "switch" in phases
        self._print(["", *terminal.opening(run.plan(), states, to, count, run.actor(), whole, self.width), ""])

    def _count(self) -> None:
        """On which hosts the step that ends here changed something."""
        for host in self.state.inventory if self.step in self.steps else ():
            found = self.state.ops[host].get(self.op_hash)
            if found is not None and found.operation_meta.is_complete() and found.operation_meta.did_succeed():
                step = self.steps[self.step]
                (step.changed if found.operation_meta.did_change() else step.same).append(host.name)

    def _close(self) -> None:
        if self.step:
            self._count()
        text = terminal.found(list(self.steps.values()))
        if self.step and self.step in self.steps and not self.steps[self.step].failed:
            text = "; ".join(filter(None, [text, f"interrupted: {self.step}"]))
        if text:
            over = time.monotonic() if self.step else self.ended
            label = "" if self.labelled else self.phase
            self._print(terminal.lines(label, text, over - self.begun, self.width))
        self.steps, self.labelled, self.step = {}, False, ""

    def _tick(self) -> None:
        while True:
            gevent.sleep(EVERY)
            self._look()

    @_harmless
    def _look(self) -> None:
        if self.step and self.at_it:
            doing = "; ".join(flow.DOING.values())
            limit, ran = flow.LIMITS.get(self.step), time.monotonic() - self.since
            text = terminal.waiting(self.step, ran, limit, self.at_it, doing)
        elif not self.opened:
            text = f"they are asked what they are, and what is live: {time.monotonic() - self.begun:.0f} s"
        elif (idle := time.monotonic() - self.idle) > MOMENT:
            text = f"what this run holds is given back: {idle:.0f} s"
        else:
            return
        if self.tty:
            self._status(f" {self.phase:<{terminal.LABEL}} {text}")
        elif time.monotonic() - self.spoke >= HEARTBEAT:
            self.say(text)

    def _status(self, text: str) -> None:
        """A line that the next one takes the place of: the order to clear it waits in the stream's buffer."""
        columns = shutil.get_terminal_size().columns
        self.stream.write(f"{text[: columns - 1]}\r")
        self.stream.flush()
        self.stream.write("\033[K")


def parts(name: str) -> tuple[str | None, str, bool]:
    """The phase (None: of the step before), the step, and whether it counts: a barrier is no step.

    Argument: pyinfra's name of an operation, `phases/FILE.py | DEPLOY | STEP` in a whole deploy.
    """
    words = name.split(" | ")
    file = ""
    while len(words) > 1 and words[0].endswith(".py"):
        file = words.pop(0)
    phase = Path(file).stem if file else words[0] if len(words) > 1 else None
    return phase, words[-1], len(words) > 1


def shown(record: logging.LogRecord) -> bool:
    """Whether a line of pyinfra's log is more than its routine."""
    if record.levelno >= logging.WARNING or (record.pathname, record.funcName) == SPOKEN:
        return True
    return not any(folder in Path(record.pathname).parents for folder in ROUTINE)


def start(state: Any, params: dict[str, Any]) -> None:
    """Frames a run of files that changes hosts without asking. Arguments: pyinfra's state and parameters."""
    files = [word for word in params.get("operations") or () if str(word).endswith(".py")]
    plain = params.get("verbosity") or params.get("debug") or params.get("debug_all") or params.get("debug_operations")
    if os.environ.get("NO_COLOR"):
        set_formatter(lambda text, *_, **__: text)
    if not files or params.get("dry") or not params.get("yes") or plain:
        return
    frames = Frames(state, sys.stderr)
    state.add_callback_handler(frames)
    flow.FRAMED.append(frames)
    atexit.register(frames.finish)
