"""Writes what this run did: record.json and a page, whichever way the run ends (DESIGN.md, "How it is used")."""

from __future__ import annotations

import atexit
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pyinfra.api.state import BaseStateCallback, StateStage

from changeover import record, report
from changeover.plan import Plan, shown_secrets
from operations import before, command_line, flow, gates, recorded, run, watch
from operations.recorded import images_of as images_of

TAIL = 20
WORDS = {"rolled_back": "went back", "needs_person": "needs you"}  # an outcome as a person reads it
PRIVATE = Path("reports")


class Recorder(BaseStateCallback):
    """Notes when each step ran on each host; asks pyinfra for the rest when the run is over."""

    def __init__(self, state: Any, command: str):
        self.state = state
        self.command = command
        self.started = datetime.now(UTC)
        self.times: dict[tuple[str, str], list[datetime]] = {}

    def operation_host_start(self, state: Any, host: Any, op_hash: str) -> None:  # type: ignore[override]
        if op_hash in state.ops[host]:  # pyinfra also "starts" what other hosts do
            self.times.setdefault((op_hash, host.name), []).append(datetime.now(UTC))

    def operation_host_success(self, state: Any, host: Any, op_hash: str, retry_count: int = 0) -> None:  # type: ignore[override]
        self.times[op_hash, host.name].append(datetime.now(UTC))

    def operation_host_error(self, state, host, op_hash, retry_count=0, max_retries=0):  # type: ignore[override]
        self.times[op_hash, host.name].append(datetime.now(UTC))

    def finish(self) -> None:
        """Publishes the record and says the result; does nothing for a run that came to no step."""
        if self.state.current_stage < StateStage.Execute or not self.times:
            return
        PRIVATE.mkdir(mode=0o700, exist_ok=True)
        PRIVATE.chmod(0o700)  # what hosts printed may say more than everybody should read
        probes = {system: found for system in list(watch.PROBERS) if (found := watch.stop(system))}
        made = self._record(probes)
        page = report.publish(made, PRIVATE)
        kept = {probe_file(system): file for system, (file, _, _) in probes.items()}
        for name, file in (kept | flow.FILES).items():
            file.replace(page.parent / name)
        click.echo("\n" + "\n".join(summary(made, page)), err=True)

    def folder(self) -> Path:
        """Where the report of this run will be, when it does not end well: before its end nothing else is known."""
        return PRIVATE / record.directory_name(self.started, next(iter(run.concerned().values())))

    def _record(self, probes: dict[str, tuple[Path, int, int]]) -> record.Record:
        plan = run.plan()
        steps = [
            self._step(op_hash, host, times)
            for (op_hash, host), times in self.times.items()
            if place(self._name(op_hash))
        ]
        failed = [step for step in steps if step.outcome == "failed"]
        done = self.state.current_stage >= StateStage.Disconnect and not failed
        ended = datetime.now(UTC)
        names = {step.host for step in steps}
        confirmed = [name for name in run.moved() if name in watch.CONFIRMED]
        return record.Record(
            id=f"{self.started:%Y%m%dT%H%M%SZ}",
            systems=[recorded.system(plan, name, to) for name, to in after(run.concerned(), done).items()],
            moments=before.moments(),
            environment=plan.fleet.environment,
            actor=run.actor(),
            started=self.started,
            ended=ended,
            txn=run.txn(),
            outcome="ok" if done else "refused" if refused(failed) else outcome(bool(failed), watch.OPEN),
            way_back=recorded.until(plan, way_back(confirmed), confirmed) if done else None,
            probe=next((recorded.probed(name, probe_file(name), found[0]) for name, found in probes.items()), None),
            error=self._error(failed, done),
            gates=[one.model_copy(update={"why": run.mask(one.why)}) for one in gates.records()],
            checklist=[*flow.CHECKS, *shown(plan)],
            changes={name: sum(s.outcome == "changed" for s in steps if s.host == name) for name in sorted(names)},
            steps=steps,
        )

    def _name(self, op_hash: str) -> str:
        return next(iter(self.state.op_meta[op_hash].names), "step")

    def _step(self, op_hash: str, host: str, times: list[datetime]) -> record.Step:
        start, end = times[0], times[-1] if len(times) > 1 else datetime.now(UTC)
        meta = self.state.ops[self.state.inventory.get_host(host)][op_hash].operation_meta
        phase, short = place(self._name(op_hash)) or ("", "")
        outcome: record.StepOutcome = "failed"
        detail = ""
        if meta.is_complete() and meta.did_succeed():
            outcome = "changed" if meta.did_change() else "ok"
        else:
            lines = flow.FAILURES.get(host) or (meta.stdout_lines + meta.stderr_lines if meta.is_complete() else [])
            detail = run.mask("\n".join(lines if phase == "preflight" else lines[-TAIL:]))
        return record.Step(
            name=short,
            phase=phase,
            host=host,
            start=start,
            end=end,
            outcome=outcome,
            detail=detail,
        )

    def _error(self, failed: list[record.Step], done: bool) -> record.Error | None:
        if done:
            return None
        again = f"mend it, then run again: {self.command} (what is done stays done)"
        if not failed:
            return record.Error(where="the control machine", why="the run was interrupted", next=f"run: {self.command}")
        where = f"{', '.join(dict.fromkeys(s.host for s in failed))}: {failed[0].name}"
        why = failed[0].detail or "it failed without a word"
        if refused(failed):
            why = "\n".join(dict.fromkeys(step.detail for step in failed))
            again = f"nothing was touched; mend each, then run again: {self.command}"
        return record.Error(where=where, why=why, next=again)


def place(name: str) -> tuple[str, str] | None:
    """The phase and the step in pyinfra's name of an operation; None for a barrier, which is no step.

    Names are `phases/FILE.py | DEPLOY | STEP` in a whole deploy and `DEPLOY | STEP` in a single phase; a barrier has no
    DEPLOY.
    """
    parts = name.split(" | ")
    file = ""
    while parts[0].endswith(".py"):  # a runbook may include deploy.py, which includes the phases
        file = parts.pop(0)
    if len(parts) < 2:
        return None
    return (Path(file).stem if file else parts[0]), parts[-1]


def shown(plan: Plan) -> list[record.Check]:
    """The secrets that are variables of containers, which `docker inspect` shows: named in each report."""
    return [
        record.Check(
            item=f"{system}: secrets of {service} that docker inspect shows",
            source=f"{system}.services.{service}.secret_env",
            verdict="skipped",
            evidence=f"{', '.join(names)}: variables, for an app that cannot read files",
        )
        for system, settings in plan.systems.items()
        if plan.run.system in (None, system)
        for service, names in shown_secrets(settings).items()
    ]


def after(wanted: dict[str, str], done: bool) -> dict[str, str]:
    """{system: release}: what is live after a run that ended well, what was asked for after one that did not.

    A run of single phases brings nothing live by itself. Arguments: what the run is about; whether it ended well.
    """
    if not done:
        return wanted
    return {
        name: to if name in watch.CONFIRMED or run.is_instead(name) else run.known_release(name) or nothing(name)
        for name, to in wanted.items()
    }


def refused(failed: list[record.Step]) -> bool:
    """Whether preflight ended the run. Argument: the steps that failed."""
    return bool(failed) and all(step.phase == "preflight" for step in failed)


def nothing(system: str) -> str:
    """What is said instead of a release where none is live, or nobody asked."""
    return record.NONE_YET if run.was_asked(system) else record.UNKNOWN


def outcome(failed: bool, opened: dict[str, str]) -> record.Outcome:
    """How a run that did not come to its end ended. Arguments: whether a step failed; switches not confirmed."""
    if watch.WENT_BACK in opened.values():
        return "rolled_back"
    if {watch.PAUSED, watch.UNSAID} & set(opened.values()):
        return "needs_person"
    return "failed" if failed else "interrupted"


def way_back(moved: list[str]) -> record.WayBack | None:
    """How to go back from what this run brought. Argument: the systems that it moved from one release to another."""
    if not moved:
        return None
    commands = "; ".join(f"sudo changeover rollback {system}" for system in moved)
    return record.WayBack(kind="code", command=commands, loses="nothing")


def probe_file(system: str) -> str:
    """Name of a prober's samples beside record.json."""
    return f"probe-{system}.jsonl"


def gone_live(made: record.Record) -> list[str]:
    """What this run brought live, and when: of each system that it took from one release to another."""
    moved = {one.name.partition(": ")[0]: one.end for one in made.steps if one.phase == "switch"}
    return [
        f"{one.name} {one.release.to} is live since {moved[one.name]:%H:%M:%S} UTC ({before})"
        for one in made.systems
        if one.name in moved and one.release.from_ != one.release.to
        for before in [f"before it {one.release.from_}" if one.release.from_ else "the first installation"]
    ]


def summary(made: record.Record, page: Path) -> list[str]:
    """The last block of a run: result, what changed, report, way back (UX.md). Arguments: record; the report's page."""
    took = round((made.ended - made.started).total_seconds())
    changed = sum(made.changes.values())
    names = ", ".join(f"{s.name} {s.release.to}" for s in made.systems)
    if made.outcome == "ok":
        what = f"{changed} changes" if changed else "nothing had to be changed"
        lines = [f" done        {names} on {made.environment}: {what} on {len(made.changes)} hosts ({took} s)"]
        lines += [f" released    {line}" for line in gone_live(made)]
    else:
        assert made.error
        reason = made.error.why.splitlines() or [""]
        lines = [
            f" {WORDS.get(made.outcome, made.outcome):<11} {names} on {made.environment}, after {took} s",
            f" where       {made.error.where}",
        ]
        shown = reason if made.outcome == "refused" else reason[-6:]
        lines += [f" {'why' if i == 0 else '':<11} {line}" for i, line in enumerate(shown)]
        lines += [f" next        {made.error.next}"]
    for system, state in watch.OPEN.items():
        ends = "its traffic is on the release before" if state == watch.WENT_BACK else f"{state} when its lease ends"
        if state in (watch.PAUSED, watch.UNSAID):
            known = state == watch.PAUSED
            said = "part of its clients stay on it" if known else state
            lines += [f" {'paused' if known else 'unknown':<11} {system}: {said}; see: sudo changeover status {system}"]
            continue
        lines += [f" undone      {system}: {ends}; see: sudo changeover status {system}"]
    lines += [f" switched    {line}" for line in watch.SAID]
    lines += gates.lines()
    lines += [f" note        {line}" for line in flow.NOTES]
    if asked := [check.verdict == "pass" for check in made.checklist if check.verdict != "skipped"]:
        lines += [f" checked     {sum(asked)} of {len(asked)} passed: tests and commands; each is in the report"]
    if made.probe:
        lines += [f" probed      {made.probe.failed} of {made.probe.sent} requests failed, from before the switch on"]
    lines.append(f" report      {page}")
    if back := made.way_back:
        warm = f"warm until {back.warm_until:%H:%M} UTC" if back.warm_until else ""
        told = "; ".join(filter(None, [f"code only, loses {back.loses}", back.takes, warm]))
        lines += [f" way back    {back.command}   ({told})"]
    return lines


def start(state: Any, params: dict[str, Any]) -> None:
    """Begins to record, for runs of files (deploy.py, phases, runbooks) that may change something."""
    files = [word for word in params.get("operations") or () if str(word).endswith(".py")]
    if not files or params.get("dry"):
        return
    recorder = Recorder(state, command_line.again(params, run.mask))
    state.add_callback_handler(recorder)
    flow.REPORT.append(recorder.folder)
    atexit.register(recorder.finish)
