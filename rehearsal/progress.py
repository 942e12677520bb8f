"""Progress for people: one line a step with its time, and a sign of life while a long one runs."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import Ended

HEARTBEAT = 15.0
"""Seconds of silence after which a line says what is still running (not on a terminal: there it is shown at once)."""


def seconds(duration: float) -> str:
    """A duration (seconds) as people read it: 0.4 s, 12 s, 2 min 05 s."""
    if duration < 9.95:
        return f"{duration:.1f} s"
    if duration < 99.5:
        return f"{duration:.0f} s"
    return f"{int(duration) // 60} min {int(duration) % 60:02d} s"


class Step:
    """What one step reports when it is done."""

    def __init__(self, name: str) -> None:
        self.name, self.started, self.outcome = name, time.monotonic(), "done"
        self.quiet = False
        """True: nothing was done, so nothing is printed."""


class Progress:
    """Prints steps as they end; safe to use from several threads."""

    def __init__(self, verbose: bool = False, stream=None) -> None:
        self.verbose = verbose
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty() and not verbose
        self._lock = threading.Lock()
        self._running: list[Step] = []
        self._spoke = self.started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Print a line (several threads may)."""
        with self._lock:
            self._write(text)

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step: `with progress.step("host image") as step: ...; step.outcome = "built"`."""
        step = Step(name)
        with self._lock:
            self._running.append(step)
        try:
            yield step
        except Ended:
            step.outcome = "ended, because another step failed"
            raise
        except BaseException:
            step.outcome, step.quiet = "failed", False
            raise
        finally:
            with self._lock:
                self._running.remove(step)
                if not step.quiet:
                    self._write(line(step.name, step.outcome, time.monotonic() - step.started))

    def close(self) -> None:
        """End the signs of life."""
        self._stop.set()
        self._thread.join(2)

    def _write(self, text: str) -> None:
        if self._terminal:
            self._stream.write("\r\033[K")
        self._stream.write(text + "\n")
        self._stream.flush()
        self._spoke = time.monotonic()

    def _beat(self) -> None:
        while not self._stop.wait(1.0):
            with self._lock:
                if not self._running:
                    continue
                now = time.monotonic()
                text = " ... " + ", ".join(f"{s.name} {seconds(now - s.started)}" for s in self._running)
                if self._terminal:
                    self._stream.write("\r\033[K" + text[:100])
                    self._stream.flush()
                elif now - self._spoke >= HEARTBEAT:
                    self._write(text)


def line(name: str, outcome: str, duration: float) -> str:
    """One finished step, in columns."""
    return f" {name:<28} {outcome:<48} {seconds(duration):>12}"
