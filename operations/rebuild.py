"""The report of a run that left none, from its coordinator's journal. Reads on the host, writes here."""

from __future__ import annotations

from pathlib import Path

import click
from pyinfra import host
from pyinfra.context import ctx_state

from changeover import probe, rebuilt, record, report, series
from changeover.plan import Plan
from changeover.record_probe import Probe
from facts.journal import Said
from operations import flow, run
from operations.recorder import probe_file

REPORTS = Path("reports")


def rebuild(plan: Plan, system: str, txn: str | None) -> None:
    """Writes the report of a run of the system, and says where. Ends this run where there is none to write.

    Called on the coordinator. Arguments: the plan; the system; the run's id (None: the last one's).
    """
    status, audit = (host.get_fact(Said, verb=verb, system=system) for verb in ("status", "audit"))
    for said in (status, audit):
        if said is None or "error" in said:
            why = said["error"] if said else "changeover does not answer there: is the system deployed?"
            run.refuse(f"error  {host.name}: {why}", f"next   ssh {host.name} sudo changeover status {system}")
    assert status and audit
    audit = {**audit, "lines": [{**line, "why": run.mask(line["why"])} for line in audit["lines"]]}
    try:
        made = rebuilt.rebuild(status, audit, txn)
    except rebuilt.NoRun as error:
        run.refuse(f"error  {error}".replace("SYSTEM", system))
    if own := own_report(REPORTS, made.txn or ""):
        click.echo(f" report      {own}: the run wrote its own; nothing is rebuilt", err=True)
        return
    if seen := seen_by_prober(made, system):
        made = rebuilt.rebuild(status, audit, txn, seen)
    REPORTS.mkdir(mode=0o700, exist_ok=True)
    page = report.publish(made, REPORTS)
    click.echo("\n".join(said_of(made, page)), err=True)


def missed(plan: Plan, system: str) -> list[str]:
    """Why nothing can be rebuilt: only the coordinator keeps the journal; empty where this run reaches it."""
    name = plan.coordinator(system).name
    if name in [one.name for one in ctx_state.get().inventory.get_active_hosts()]:
        return []
    return [f"error  {name}: not reached, and only it has the journal of {system}", f"next   ssh {name}"]


def own_report(reports: Path, txn: str) -> Path | None:
    """The page that a run wrote itself, when it ended; None where there is none. Arguments: the folder; its id."""
    for file in reports.glob(f"2*/{record.NAME}"):
        try:
            if (
                txn in file.read_text(errors="replace")
                and (found := record.read(file)).txn == txn
                and not found.rebuilt
            ):
                return file.with_name("index.html")
        except (OSError, record.RecordError):
            continue
    return None


def seen_by_prober(made: record.Record, system: str) -> Probe | None:
    """What the run's prober saw, where this is the machine that it ran on. Its file goes into the report's folder."""
    folder = REPORTS / record.directory_name(made.started, made.release.to)
    left, kept = REPORTS / f".probe-{made.txn}-{system}.jsonl", folder / probe_file(system)
    if left.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        left.replace(kept)
    if not kept.exists():
        return None
    samples = probe.read(kept)
    return series.probe(kept.name, system, samples, made.moments) if samples else None


def said_of(made: record.Record, page: Path) -> list[str]:
    """What a person reads: which run, how it ended, what is not known, where the report is."""
    assert made.rebuilt
    return [
        f" rebuilt     {report.headline(made)}",
        f" run         {made.txn}, from the journal of {made.rebuilt.host}",
        *([f" why         {made.error.why}", f" next        {flow.ready(made.error.next)}"] if made.error else []),
        *(f" not known   {one}" for one in made.rebuilt.unknown),
        f" report      {page}",
    ]
