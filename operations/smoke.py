"""Smoke tests after a switch: sent by a process of its own, while the prober is watched and the lease is kept alive."""

from __future__ import annotations

import contextlib
import secrets as random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from changeover.plan import Plan
from changeover.record import Check
from changeover.smoke import Config, Result, call
from changeover.words import seconds
from operations import flow, run, watch

ROOT = Path(__file__).parent.parent
START = 15.0  # seconds, beside the calls' own limits, for the process to begin and end
EVERY = 0.2  # seconds between two looks
Renew = Callable[[], tuple[bool, list[str]]]


def config(plan: Plan, system: str, new_id: str, secret: Callable[[str], str]) -> Config | None:
    """What is sent; None without smoke tests. Arguments: the plan; the system; the run's id; a secret by its name."""
    probe, tests = watch.config(plan, system), plan.systems[system].release.smoke
    if probe is None or not tests:
        return None
    calls = [call(one, new_id, secret) for one in tests]
    return Config(base_url=probe.base_url, address=probe.address, ca=probe.ca, calls=calls)


def tests(plan: Plan, system: str, renew: Renew | None) -> list[str]:
    """Sends the smoke tests of a system; gives the reasons for going back, or none: the first without what came back.

    Arguments: the plan; the system; what renews the lease of the switch, where there is one.
    """
    made = config(plan, system, f"smoke-{random.token_hex(8)}", lambda name: run.secrets().get(system, name))
    if made is None:
        return []
    process = subprocess.Popen(
        [sys.executable, "-m", "changeover.smoke_client"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        _tell(process, made.model_dump_json())  # headers hold secrets: neither argv nor environment
        reasons = _wait(plan, system, process, made.longest + START, renew)
    finally:
        process.kill()
        out, errors = (part.decode(errors="replace") for part in process.communicate())
    results = [Result.model_validate_json(line) for line in out[: out.rfind("\n") + 1].splitlines()]
    flow.CHECKS += [check(system, one) for one in results]
    if reasons:
        return reasons
    if failed := next((one for one in results if one.wrong), None):
        # The first line is kept on all hosts, readable by all: what the gateway answered is only in the second.
        return [run.mask(f"smoke test {failed.name!r} failed"), run.mask(failed.wrong or "")]
    if len(results) < len(made.calls):
        last = run.mask(" ".join(errors.split())[-300:]) or f"exit code {process.returncode}"
        return [f"smoke test {made.calls[len(results)].name!r} could not be sent", last]
    return []


def _tell(process: subprocess.Popen[bytes], text: str) -> None:
    """Writes a text to a process's standard input and ends it; one that has ended already says why by itself."""
    pipe, process.stdin = process.stdin, None
    assert pipe
    with contextlib.suppress(BrokenPipeError):
        pipe.write(text.encode())
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def _wait(plan: Plan, system: str, process: subprocess.Popen[bytes], limit: float, renew: Renew | None) -> list[str]:
    """Waits for the process's end; the reasons for not waiting any longer."""
    release = plan.systems[system].release
    end = time.monotonic() + limit
    renewal = watch.Renewal(seconds(release.lease), renew) if renew else None
    while process.poll() is None:
        if renewal and (reason := renewal.due()):
            return [reason]
        if reasons := watch.judge(system, release.max_failed):
            return reasons
        if time.monotonic() >= end:
            return [f"the smoke tests did not end within {limit:.0f} s"]
        time.sleep(EVERY)
    return []


def check(system: str, result: Result) -> Check:
    """A smoke test's line in the record."""
    return Check(
        item=f"{system}: smoke test: {result.name}",
        source=f"{system}.release.smoke",
        verdict="fail" if result.wrong else "pass",
        evidence=run.mask(result.wrong or result.seen),
    )


def passed(system: str) -> str:
    """What a person reads when all have passed."""
    mine = [check for check in flow.CHECKS if check.source == f"{system}.release.smoke"]
    names = [check.item.rpartition("smoke test: ")[2] for check in mine]
    return f"smoke tests: {len(names)} passed ({'; '.join(names)})"
