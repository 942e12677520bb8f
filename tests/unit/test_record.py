"""record.json: its shape, that nothing else passes, and that a file is whole or not there."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from pydantic import ValidationError

from changeover import record as records
from changeover.record import Record, Release, Step, System

ROOT = Path(__file__).parents[2]
START = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)
LEAST = {
    "schema": 1,
    "id": "20261121T140322Z-1.1.0",
    "systems": [{"name": "tasktracker", "release": {"from": "1.0.0", "to": "1.1.0"}}],
    "environment": "staging",
    "actor": "dana@laptop",
    "started": "2026-11-21T14:03:22Z",
    "ended": "2026-11-21T14:07:53Z",
    "outcome": "ok",
}
NOT_COMPARED = {"migration": None, "settings": None, "settings_unknown": ""}
STEP = {
    "name": "up",
    "host": "app1",
    "start": "2026-11-21T14:03:22Z",
    "end": "2026-11-21T14:03:23Z",
    "outcome": "changed",
}


def load(**changes) -> Record:
    return Record.model_validate_json(json.dumps({**LEAST, **changes}))


def test_file_has_the_keys_of_the_contract(tmp_path):
    path = records.write(load(steps=[STEP]), tmp_path / "new")
    assert path == tmp_path / "new" / "record.json"
    assert json.loads(path.read_text()) == {
        **LEAST,
        "systems": [{**LEAST["systems"][0], "images": {}, "images_before": {}, **NOT_COMPARED}],
        "txn": None,
        "system": "tasktracker",
        "release": {"from": "1.0.0", "to": "1.1.0"},
        "error": None,
        "way_back": None,
        "changes": {},
        "steps": [{**STEP, "phase": "", "undone": False, "detail": ""}],
        "gates": [],
        "checklist": [],
        "probe": None,
        "moments": [],
        "rebuilt": None,
    }


def test_round_trip(tmp_path):
    record = load(
        steps=[STEP],
        txn="t1",
        changes={"app1": 1, "app2": 0},
        error={"where": "app1", "why": "503", "next": "look"},
        way_back={"kind": "restore", "command": "c", "loses": "4 s"},
        gates=[
            {
                "system": "tasktracker",
                "name": "g",
                "verdict": "fail",
                "op": "<",
                "value": 412.5,
                "limit": 200,
                "unit": "ms",
                "samples": [
                    {"t": "2026-11-21T14:03:22Z", "value": None, "verdict": "no_data"},
                    {"t": "2026-11-21T14:03:32Z", "value": 412.5, "baseline": 39, "verdict": "fail"},
                ],
                "why": "412 ms",
            },
            {"name": "least", "verdict": "no_data"},
        ],
        checklist=[{"item": "i", "source": "S4", "verdict": "pass", "evidence": "e"}],
        probe={"file": "probe.jsonl", "sent": 10, "failed": 0},
    )
    written = records.write(record, tmp_path)
    assert records.read(written) == records.read(tmp_path) == record
    assert records.write(records.read(tmp_path), tmp_path / "again").read_bytes() == written.read_bytes()


def test_times_are_utc():
    there = timezone(timedelta(hours=2))
    step = Step(name="up", host="app1", start=START.astimezone(there), end=START, outcome="ok")
    assert json.loads(step.model_dump_json())["start"] == "2026-11-21T14:03:22Z"
    with pytest.raises(ValidationError, match="timezone"):
        Step(name="up", host="app1", start=START.replace(tzinfo=None), end=START, outcome="ok")


def test_single_fields_are_those_of_the_first_system():
    two = [System(name=name, release=Release(from_=None, to="1")) for name in ("notes", "tasktracker")]
    record = Record(id="x", systems=two, environment="e", actor="a", started=START, ended=START, outcome="ok")
    assert (record.system, record.release) == ("notes", two[0].release)
    with pytest.raises(ValidationError, match="system is not that of the first of systems"):
        load(system="notes")


def test_what_a_host_printed_never_stops_a_record(tmp_path):
    detail = "\x1b[31mred\x1b[0m \udc80 two\n\tlines\x00"
    step = Step(name="up", host="app1", start=START, end=START, outcome="failed", detail=detail)
    assert step.detail == "red ? two\n\tlines"
    records.write(load().model_copy(update={"steps": [step]}), tmp_path)
    assert records.read(tmp_path).steps == [step]


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"outcome": "great"}, "outcome: Input should be 'ok', 'rolled_back'"),
        ({"systems": []}, "systems: List should have at least 1 item"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"changes": {"app1": -1}}, "changes.app1: Input should be greater than or equal to 0"),
        ({"steps": [{**STEP, "undone": "yes"}]}, "steps.0.undone: Input should be a valid boolean"),
        ({"id": 1, "actor": 2}, "id: Input should be a valid string (and 1 more); it was edited,"),
    ],
)
def test_read_refuses_in_one_line(tmp_path, changes, why):
    file = tmp_path / "record.json"
    file.write_text(json.dumps({**LEAST, **changes}))
    with pytest.raises(records.RecordError) as caught:
        records.read(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{file}: {why}")
    assert message.endswith("ls reports")
    assert "\n" not in message


def test_read_names_what_is_not_json(tmp_path):
    (tmp_path / "record.json").write_text('{"schema": 1,')
    with pytest.raises(records.RecordError, match=r"record\.json: record: Invalid JSON: EOF"):
        records.read(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = records.write(load(), tmp_path)
    before = path.read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write(load(actor="other"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    assert path.read_bytes() == before


def test_directory_name_is_safe_in_a_path():
    assert records.directory_name(START, "1.1.0") == "20261121T140322Z-1.1.0"
    assert records.directory_name(START, "feature/x ..") == "20261121T140322Z-feature_x_.."


def test_published_schema_is_current():
    found = subprocess.run(
        [sys.executable, "-m", "changeover", "report", "--schema"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    stale = "run: python -m changeover report --schema > docs/record.schema.json"
    assert (ROOT / "docs" / "record.schema.json").read_text() == found.stdout, stale
    schema = json.loads(found.stdout)
    assert {"schema", "systems", "outcome", "started"} <= set(schema["properties"])
    assert set(schema["required"]) == set(LEAST) - {"schema"}
    assert schema["additionalProperties"] is False
