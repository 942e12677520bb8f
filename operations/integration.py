"""A team's integration tests against the idle slots, before any traffic goes there."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

from pyinfra.api import FunctionCommand, deploy, operation

from changeover.candidates import Candidate, candidates
from changeover.live import Live
from changeover.plan import Plan
from changeover.record import Check
from changeover.report import duration
from changeover.settings import App
from changeover.settings_tests import Program
from changeover.words import seconds
from operations import commands, flow, process, run, tunnel, watch
from operations.tunnel import TunnelError


@deploy("tests")
def idle_slots(plan: Plan, system: str, name: str, live: Live) -> None:
    """The team's tests pass against the idle slots of this host.

    Arguments: the plan; names of system and host; what is live.
    """
    for one in candidates(plan, system, name, live):
        tested(
            name=flow.at_most(
                f"{system}: {one.service} {one.slot} passes the integration tests", seconds(one.test.timeout)
            ),
            system=system,
            one=one,
            serving=live.release.live or "nothing",
            hide=commands.hidden(plan),
        )


def missing(plan: Plan, system: str) -> list[str]:
    """What this machine does not have of what the tests and commands of a system need."""
    settings = plan.systems[system]
    programs: dict[str, Program] = {
        f"{system}.services.{name}.test": service.test
        for name, service in settings.services.items()
        if isinstance(service, App) and service.test
    }
    programs |= {f"{system}.release.commands.{number}": one for number, one in enumerate(settings.release.commands)}
    listed = {f"{system}.checklist.{number}.program": one.program for number, one in enumerate(settings.checklist)}
    programs |= {key: one for key, one in listed.items() if one}
    return [line for key, one in programs.items() for line in commands.missing(key, one)]


@operation(is_idempotent=False)
def tested(system: str, one: Candidate, serving: str, hide: set[str]) -> Generator[FunctionCommand]:
    """
    The tests of a service pass against its idle slot on this host; else the run stops here.

    + system: its name
    + one: the idle slot
    + serving: the release that is live
    + hide: names of secrets that the tests have no business with
    """

    def test(state: Any, host: Any) -> bool:
        began = time.monotonic()
        where = f"{one.service} {one.slot} on {host.name} ({one.release})"
        try:
            ended = _run(host, system, one, hide)
        except (TunnelError, OSError) as error:
            why = f"{where}: the integration tests cannot begin: {error}"
            return flow.fail_here(host, [why, _unmoved(system, serving)])
        took = time.monotonic() - began
        text = run.mask(ended.output)
        file = flow.keep(f"tests-{system}-{one.service}-{host.name.replace('/', '_')}.txt", text)
        lines = [line for line in text.splitlines() if line.strip()]
        last = lines[-1].strip("= ")[-200:] if lines else "no output"
        flow.CHECKS.append(
            Check(
                item=f"{system}: integration tests of {one.service} {one.slot} on {host.name}",
                source=f"{system}.services.{one.service}.test",
                verdict="pass" if ended.code == 0 else "fail",
                evidence=f"{last} ({duration(took)}); output: {file}",
            )
        )
        if ended.code == 0:
            host.log_styled(f"{one.service} {one.slot}: integration tests: {last}  {duration(took)}", fg="green")
            return True
        how = f"ended with exit code {ended.code}" if ended.code is not None else f"took over {one.test.timeout}"
        said = [
            f"{where}: the integration tests {how}; the last lines:",
            *(f"  {line}" for line in lines[-commands.TAIL:]),
            f"the whole output: {flow.report_folder() / file}",
            _unmoved(system, serving),
        ]
        return flow.fail_here(host, said)

    yield FunctionCommand(test, (), {})


def _run(host: Any, system: str, one: Candidate, hide: set[str]) -> process.Ended:
    with ExitStack() as ways:
        given = {"RELEASE": one.release, "BASE_URL": ways.enter_context(tunnel.to(host, one.address, one.port))}
        if one.other:
            given["OTHER_URL"] = ways.enter_context(tunnel.to(host, one.address, one.other))
        return commands.execute(system, one.test, given, hide)


def _unmoved(system: str, serving: str) -> str:
    if watch.OPEN.get(system) == watch.HALF_WAY:
        return f"the switch is half-way; it goes back to {serving}"
    return f"nothing was switched; {serving} serves as before"
