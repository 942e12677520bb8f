"""python -m rehearsal fault [NAME ...]: lists the faults, or tries some and says what was seen."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from ..errors import RehearsalError
from .frame import try_out
from .registry import FAULTS


def run(names: Sequence[str]) -> int:
    """Lists, or tries in turn. Returns 0 when everything was as it must be, 1 when not, 2 for an unknown name."""
    if not names:
        print("\n".join(listed()))
        return 0
    if unknown := [name for name in names if name not in FAULTS]:
        print(f"error  no fault {', '.join(unknown)}\nnext   python -m rehearsal fault   (lists them)", file=sys.stderr)
        return 2
    began, good = time.monotonic(), True
    for name in names:
        print(f" {name}", flush=True)
        try:
            verdict = try_out(
                FAULTS[name], lambda text: print(f"   {time.monotonic() - began:5.0f} s  {text}", flush=True)
            )
        except RehearsalError as error:
            print(error.text(), file=sys.stderr)
            return 1
        print("\n".join(verdict.lines()), flush=True)
        good = good and verdict.ok
    return 0 if good else 1


def listed() -> list[str]:
    """All faults, a line each. Pure."""
    return [f" {name:<28} {fault.does}" for name, fault in FAULTS.items()]
