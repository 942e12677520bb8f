"""record.json: what a deploy leaves behind for machines; changeover/report.py shows it to people."""

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from changeover.record_base import Count, Figure, Output, Time, Verdict
from changeover.record_base import Part as _Part
from changeover.record_changes import Migration, Rebuilt, Setting
from changeover.record_probe import Moment
from changeover.record_probe import Probe as Probe

NAME = "record.json"
NONE_YET, UNKNOWN = "none yet", "unknown"  # in the place of a release, after a run of single phases
Outcome = Literal["ok", "rolled_back", "refused", "failed", "needs_person", "interrupted"]
StepOutcome = Literal["ok", "changed", "failed", "skipped"]


class RecordError(ValueError):
    """A record that cannot be read. Its text is one line for the user: where, why, what to do next."""


class Release(_Part):
    """The release before and after."""

    from_: str | None
    """The release that was live before; null: none, this was the first installation."""
    to: str
    """The release that was asked for. The outcome says whether it is live now."""


class System(_Part):
    """One system of the run."""

    name: str
    """The system's name, as in group_data."""
    release: Release
    """Its release before and after."""
    images: dict[str, str] = {}
    """Service to the image that the release is made of, with its digest, where one was written down."""
    images_before: dict[str, str] = {}
    """The same of the release before."""
    migration: Migration | None = None
    """The schema before and after; null where this run brought none."""
    settings: list[Setting] | None = None
    """Settings that differ from those that the release before ran with, never a secret's value; null: not compared."""
    settings_unknown: str = ""
    """Why settings may differ that are not listed; empty where all are."""


class WayBack(_Part):
    """How to go back from here."""

    kind: Literal["code", "downgrade", "restore"]
    """What goes back: the code only, the schema too, or the data from a backup."""
    command: str
    """The command, ready to paste."""
    loses: str
    """What is lost by it, in words; "nothing" where nothing is."""
    takes: str = ""
    """How long it takes, in words."""
    warm_until: Time | None = None
    """Until when the slot before runs on, UTC: going back is a switch until then, and a start afterwards."""


class Error(_Part):
    """Why the run ended early."""

    where: str
    """Host, phase and step, or file and key."""
    why: Output
    """The reason, and the last lines of the log that matters."""
    next: str
    """The command to run next."""


class Step(_Part):
    """One step on one host."""

    name: str
    """What was done, as pyinfra names the operation."""
    phase: str = ""
    """The phase that the step belongs to: database, api, ..."""
    host: str
    """The host, as in the inventory."""
    start: Time
    """When it began, UTC, by the control machine's clock."""
    end: Time
    """When it ended, UTC, by the same clock."""
    outcome: StepOutcome
    """ok: it was already so; changed; failed; skipped."""
    undone: bool = False
    """True: it was done, then taken back by the same run."""
    detail: Output = ""
    """A line on what changed, or the last lines of the output where it failed."""


class GateSample(_Part):
    """One look of a gate."""

    t: Time
    """When it was looked at, UTC, by the control machine's clock."""
    value: Figure | None
    """What was measured; null: nothing was, by an error or for want of data."""
    baseline: Figure | None = None
    """The same of the old slot at the same time; null where the gate has no baseline, or nothing was measured there."""
    verdict: Verdict
    """What this look alone says."""


class Gate(_Part):
    """One gate: a measured number against a limit, looked at again and again while a release is watched."""

    system: str = ""
    """The system whose gate it is."""
    name: str
    """The gate's name, as in group_data."""
    verdict: Verdict
    """What all looks together say: the five different answers."""
    op: str = ""
    """How value and limit are compared for a pass: <, <=, >, >=, ==, !=."""
    value: Figure | None = None
    """The value that decided: of the last look, or of the first of those that failed; null where there was none."""
    limit: Figure | None = None
    """What that value was held against; with a baseline, the baseline's times the ratio."""
    unit: str = ""
    """What value and limit are in: ms, %; empty: a plain number."""
    at_most: Figure | None = None
    """Seconds from the first bad answer until a release goes back for it, at worst, as said before the deploy."""
    samples: list[GateSample] = []
    """Its looks in order; of very many, each that did not pass, and every n-th of the others."""
    why: Output = ""
    """One line for a person: what was seen, against what, in how many looks, first when."""


class Check(_Part):
    """One item of a checklist."""

    item: str
    """What was asked."""
    source: str
    """Where the item comes from: a document, a file, a person."""
    verdict: Literal["pass", "fail", "skipped"]
    """The answer."""
    evidence: Output
    """What was seen, or who answered."""


class Record(_Part):
    """One run: who did what to which systems and hosts, and how it ended."""

    schema_: Literal[1] = 1
    """The version of this format."""
    id: str
    """The run's name, unique in its environment; reports/ has a directory for it."""
    txn: str | None = None
    """The transaction on the hosts; null where the run opened none."""
    system: str = ""
    """The first system's name, for readers that know of one only; filled in from `systems`."""
    release: Release = Release(from_=None, to="")
    """The first system's release; filled in from `systems`."""
    systems: Annotated[list[System], Field(min_length=1)]
    """Every system of the run, in the order of deployment."""
    environment: str
    """staging, production: the inventory's name."""
    actor: str
    """Who ran it: user@machine."""
    started: Time
    """When the run began, UTC."""
    ended: Time
    """When the run ended, UTC."""
    outcome: Outcome
    """How it ended."""
    error: Error | None = None
    """Why it ended so; null where all went well."""
    way_back: WayBack | None = None
    """How to go back; null where there is nothing to go back to."""
    changes: dict[str, Count] = {}
    """Host to the number of operations that changed something on it; 0 is listed too."""
    steps: list[Step] = []
    """Every step, in the order in which they began."""
    gates: list[Gate] = []
    """Every gate that was asked."""
    checklist: list[Check] = []
    """Every checklist item."""
    probe: Probe | None = None
    """What the prober saw; null where it did not run."""
    moments: list[Moment] = []
    """The moves of the traffic, in their order."""
    rebuilt: Rebuilt | None = None
    """Where it was made anew from the hosts' journals: from which, and what is not known; null in a run's own."""

    # Nothing here compares times: a clock that jumps must not cost the record.
    @model_validator(mode="after")
    def _first_system(self) -> "Record":
        for key, value in (("system", self.systems[0].name), ("release", self.systems[0].release)):
            if key in self.model_fields_set and getattr(self, key) != value:
                raise ValueError(f"{key} is not that of the first of systems")
            self.__dict__[key] = value
        return self


def write_file(path: Path, text: str) -> Path:
    """Write text so that a reader sees the old file or the new one, never a half, also after a power cut.

    Arguments: path, whose directory is made where it is missing; text, written as UTF-8. Errors: OSError.
    Source: fsync(2), rename(2).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def write(record: Record, directory: Path) -> Path:
    """Write record.json into a directory, atomically; returns its path. Errors: OSError. Source: S1, S4."""
    return write_file(directory / NAME, record.model_dump_json(indent=1) + "\n")


def read(path: Path) -> Record:
    """Read a record from a file, or from record.json in a directory.

    Errors: RecordError, one line that says where, why and what to do next. Source: CONTRACTS (record.json).
    """
    file = path / NAME if path.is_dir() else path
    try:
        return Record.model_validate_json(file.read_bytes())
    except OSError as error:
        why = f"{error.strerror}; name a directory that a deploy wrote: ls reports"
        raise RecordError(f"{file}: {why}") from None
    except ValidationError as error:
        first, *others = error.errors(include_url=False)
        where = ".".join(map(str, first["loc"])) or "record"
        more = f" (and {len(others)} more)" if others else ""
        why = f"{where}: {first['msg']}{more}"
        raise RecordError(f"{file}: {why}; it was edited, or another version wrote it: ls reports") from None


def schema_text() -> str:
    """The JSON schema of record.json, as docs/record.schema.json holds it. Source: CONTRACTS."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}
    return json.dumps(schema, indent=1) + "\n"


def directory_name(started: datetime, release: str) -> str:
    """A report's directory: <utc time>-<release>, of characters that are safe in a path. Source: DESIGN."""
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{re.sub(r'[^A-Za-z0-9._+-]', '_', release)}"
