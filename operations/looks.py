"""Looks at hosts beside the watch: one that is silent is waited for, and nobody else waits with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

Spawn = Callable[[Callable[[], None]], Any]  # runs something beside this, as gevent.spawn does


class Looks:
    """One look at a time."""

    def __init__(self, look: Callable[[float], list[str]], spawn: Spawn = gevent.spawn) -> None:
        """Arguments: what looks, given when the look began (monotonic), and says what speaks for going back; what
        runs it beside this."""
        self._look, self._spawn, self._task = look, spawn, None
        self.began = float("-inf")
        """When the last look began (monotonic)."""
        self.under_way = False
        self.reasons: list[str] = []
        """What the last look found that has ended."""

    def begin(self) -> None:
        """Starts one; the one before must have ended."""
        self.began, self.under_way = time.monotonic(), True
        self._task = self._spawn(self._one)

    def _one(self) -> None:
        try:
            self.reasons = self._look(self.began)
        except Exception as error:  # a mistake of ours: nobody confirms what nothing looks at
            self.reasons = [f"the containers cannot be looked at any more: {type(error).__name__}: {error}"]
        finally:
            self.under_way = False

    def end(self) -> None:
        """Nobody waits any more for one that is under way."""
        if self.under_way and self._task is not None:
            self._task.kill(block=False)
