"""The prober's configuration, file and summary."""

import json
from datetime import datetime

import httpx
import pytest

from changeover import probe, probing
from changeover.probe import ProbeError, Sample

T = "2026-11-21T14:03:0{}.000Z"


def sample(second=0, **changes) -> Sample:
    return Sample(**{"t": T.format(second), "kind": "h1", "method": "GET", "path": "/", "ms": 10.0, **changes})


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"rate": 51}, "rate: Input should be less than or equal to 50"),
        ({"requests": []}, "requests: List should have at least 1 item"),
        ({"base_url": "https://x/api"}, "base_url: .*without a path"),
        ({"adress": "1.2.3.4"}, "adress: Extra inputs are not permitted"),
        ({"requests": [{"path": "x"}]}, r"requests\.0\.path: String should match"),
    ],
)
def test_a_wrong_configuration_is_named(changes, why):
    raw = {"base_url": "https://x", "seconds": 1, "requests": [{"path": "/"}], **changes}
    with pytest.raises(ProbeError, match=f"^c.json: {why}.*; mend it"):
        probe.load(json.dumps(raw), "c.json")


def test_summary_counts_by_kind_and_slot():
    samples = [sample(n, slot="blue" if n < 5 else "green", ms=n + 1.0) for n in range(9)]
    samples += [sample(9, kind="h2", error="lost", ms=5000.0), sample(9, kind="ws", status=101, ms=9000.0)]
    found = probe.summary(reversed(samples))
    assert (found["sent"], found["failed"], found["p50"]) == (11, 1, 5.0)
    assert found["by_kind"]["h2"] == {"sent": 1, "failed": 1, "p50": None, "p95": None, "p99": None}
    assert found["by_slot"]["blue"] == {"sent": 5, "first": T.format(0), "last": T.format(4)}
    assert found["first_failures"][0]["error"] == "lost"
    assert probe.summary([])["sent"] == 0
    assert probe.summary(samples[:1])["p99"] == 1.0


def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text(sample(1).line() + "\n" + sample(2).line() + "\n" + sample(3).line()[:30])
    assert probe.read(file) == [sample(1), sample(2)]
    at = [datetime.fromisoformat(T.format(n)) for n in (2, 3)]
    assert probe.between(probe.read(file), *at) == [sample(2)]


def test_a_slot_is_told_by_a_header_or_by_a_field():
    told = [
        probing.tell(httpx.Response(200, headers={"X-Slot": "blue"}), "x-slot"),
        probing.tell(httpx.Response(200, json={"slot": "green"}), "slot"),
        probing.tell(httpx.Response(200, json=["slot"]), "slot"),
        probing.tell(httpx.Response(200, text="slot"), "slot"),
    ]
    assert told == ["blue", "green", None, None]
