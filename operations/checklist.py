"""The checklist of a release: gone through before anything is touched, and after the confirmation (S1, S4)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from gevent import select
from pyinfra import inventory
from pyinfra.api import FunctionCommand, deploy, operation

from changeover import checklist, pins, record, standing
from changeover.checklist import Seen
from changeover.live import Live
from changeover.plan import Plan
from changeover.probe import SOCKET, read, summary
from changeover.settings_checklist import Item
from changeover.stack import wanted_release
from operations import commands, flow, git_tag, lock, preflight, process, run, tls_files, watch
from operations.ask import at_once, shell, spoken
from operations.release import Quiet

PATIENCE = 900  # seconds that a question waits for a person
STATS = "docker ps -q --filter label=com.docker.compose.project={} | xargs -r docker stats --no-stream --format"


@deploy("checklist")
def gone_through(plan: Plan, system: str, live: Live, when: str) -> None:
    """Each item is answered, and the answers are kept. Arguments: plan; system; what was live; "before" or "after"."""
    if found := checklist.items(plan, system, when):
        name = f"{system}: {len(found)} items of the checklist, {when} the release"
        answered(name=name, plan=Quiet(plan), system=system, live=Quiet(live), when=when)


@operation(is_idempotent=False)
def answered(plan: Quiet, system: str, live: Quiet, when: str) -> Generator[FunctionCommand]:
    """
    Every item of the checklist was answered with yes; all that were not are named at once.

    + plan: the checked plan
    + system: its name
    + live: what was live when the run began
    + when: "before" or "after"
    """

    def go(state: Any, host: Any) -> bool:
        wrong = []
        for one in checklist.items(plan.value, system, when):
            seen = answer(plan.value, system, live.value, one, host)
            evidence = run.mask(seen.evidence)
            item = f"{system}: {one.name}"
            flow.CHECKS.append(record.Check(item=item, source=one.source, verdict=seen.verdict, evidence=evidence))
            host.log_styled(f"{seen.verdict}  {one.name}: {evidence}", fg="red" if seen.verdict == "fail" else "green")
            if seen.verdict == "fail":
                wrong.append(f"{one.name} ({one.source}): {evidence}")
        release = wanted_release(plan.value, system, live.value)
        undone = f"{release} is live and stays so; nothing was undone" if when == "after" else "nothing was touched"
        return not wrong or flow.fail_here(host, [*wrong, undone])

    yield FunctionCommand(go, (), {})


def answer(plan: Plan, system: str, live: Live, one: Item, host: Any) -> Seen:
    """What came of an item. Arguments: as in answered; the item; the coordinator."""
    if one.within:
        return checklist.window(one, datetime.now(UTC))
    if one.ask:
        return asked(plan, system, one)
    if one.program:
        return ran(plan, system, live, one)
    return CHECKS[str(one.check)](plan, system, live, host)


def asked(plan: Plan, system: str, one: Item) -> Seen:
    """What a person says: in the file of answers, or now at the terminal."""
    questions = [item.name for item in plan.systems[system].checklist if item.ask]
    said: dict[str, str] = {}
    if file := plan.run.answers:
        try:
            said, wrong = checklist.answers(Path(file).read_text(), questions)
        except (OSError, UnicodeDecodeError) as error:
            said, wrong = {}, [str(error)]
        if wrong:
            return Seen("fail", f"{file}: {'; '.join(wrong)}")
    if one.name in said:
        return Seen("pass", f"{said[one.name]} ({file}, given by {run.actor()})")
    if not sys.stdin.isatty():
        way = f"write a line `{one.name}: what was seen` to a file and give it: --data answers=FILE"
        return Seen("fail", f"nobody answered {one.ask!r}; {way}")
    click.echo(f"\n{one.ask}\n what was seen, or nothing for no ({one.name}): ", nl=False)
    # Others work on meanwhile: the lock's heartbeat is one of them.
    ready, _, _ = select.select([sys.stdin], [], [], PATIENCE)
    text = sys.stdin.readline().strip() if ready else ""
    if not text:
        return Seen("fail", f"{run.actor()} did not say yes to {one.ask!r}")
    return Seen("pass", f"{text} ({run.actor()})")


def ran(plan: Plan, system: str, live: Live, one: Item) -> Seen:
    """How a program of the team's own ended; its last line is what was seen."""
    assert one.program
    given = {"RELEASE": wanted_release(plan, system, live), "PREVIOUS": live.release.live or ""}
    try:
        ended = commands.execute(system, one.program, given, commands.hidden(plan))
    except OSError as error:
        ended = process.Ended(127, str(error))
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    how = f"took over {one.program.timeout}" if ended.code is None else f"exit code {ended.code}"
    return Seen("pass" if ended.code == 0 else "fail", f"{how}: {lines[-1][-200:] if lines else 'no output'}")


def certificates(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    if plan.systems[system].tls is None:
        return Seen("skipped", "served without TLS")
    if plan.systems[system].tls == "acme":
        return Seen("pass", "of an authority, renewed by itself; a deploy looks at it when it ends in 14 days")
    wrong = [*tls_files.unfit(plan, system), *(line for line in tls_files.soon(plan) if line.startswith(f"{system}'s"))]
    return Seen("fail" if wrong else "pass", "; ".join(wrong) or "good for more than 14 days")


def images(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    release = wanted_release(plan, system, live)
    found = {
        name: preflight.TAGS.get(image) or live.pinned(release, name, image).partition("@")[2]
        for name, image in pins.images(plan, system, release).items()
    }
    if lacking := [name for name, digest in sorted(found.items()) if not digest]:
        if live.release.live is None:
            return Seen("skipped", "a first installation: there was no engine to ask the registry")
        return Seen("fail", f"the registry has no image of {release} for {', '.join(lacking)}, or does not say")
    said = ", ".join(f"{name} {digest[:19]}" for name, digest in sorted(found.items()))
    return Seen("pass", said or "none follows the release")


def rehearsed(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    if plan.fleet.environment == "staging":
        return Seen("skipped", "this is staging")
    return checklist.rehearsed(_records(), system, wanted_release(plan, system, live))


def _records() -> Generator[dict[str, Any]]:
    """What earlier runs of this machine wrote down, the newest first; what cannot be read is passed over."""
    for path in sorted(Path("reports").glob(f"2*/{record.NAME}"), reverse=True):
        with contextlib.suppress(OSError, ValueError, record.RecordError):
            yield record.read(path).model_dump(mode="json", by_alias=True)


def tagged(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    release = wanted_release(plan, system, live)
    name = git_tag.spelt(plan, system, release)
    code, said = git_tag.git("rev-parse", "-q", "--verify", "--short", f"refs/tags/{name}^{{commit}}")
    if code:
        return Seen("fail", f"no tag {name} in this tree; make it where {release} was built: git tag -a {name}")
    return Seen("pass", f"{name} is {said}")


def healthy(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    found = _status(system, host)
    release, slots = wanted_release(plan, system, live), found.get("slots", {})
    wanted = dict.fromkeys(standing.expected(plan, system, slots), release)
    return checklist.healthy(found.get("hosts", {}), wanted)


def memory(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    hosts = {one.name: inventory.get_host(one.name) for one in plan.group(system)}
    words = ["sh", "-c", STATS.format(system) + " '{{.Name}} {{.MemPerc}}'"]
    said = at_once(hosts, lambda one: shell(one, words, lock.LIMIT)[1])
    return checklist.memory(said)


def logs(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    done, lines = lock.ask(host, "logs", system, "-n", "50", "--json")
    said = spoken(lines) or {}
    wanted = sorted(standing.expected(plan, system, _status(system, host).get("slots", {})))
    return checklist.logs(said.get("logs", {}), wanted)


def probe(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    return checklist.probed(_probed(system), plan.systems[system].release.max_failed)


def websocket(plan: Plan, system: str, live: Live, host: Any) -> Seen:
    return checklist.probed(_probed(system), 0, SOCKET)


def _probed(system: str) -> Mapping[str, Any] | None:
    prober = watch.PROBERS.get(system)
    return summary(read(prober.out)) if prober else None


def _status(system: str, host: Any) -> dict[str, Any]:
    return spoken(lock.ask(host, "status", system, "--json")[1]) or {}


CHECKS: dict[str, Callable[[Plan, str, Live, Any], Seen]] = {
    one.__name__: one for one in (certificates, images, rehearsed, tagged, healthy, memory, logs, probe, websocket)
}
