"""Files of records: torn and damaged lines, long files, the state's text."""

import pytest

from hostcmd import options, records, state
from hostcmd.stop import Stop


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "journal.jsonl")


def test_a_record_comes_back_as_it_was(path):
    records.append(path, {"n": 1})
    records.append(path, {"n": 2})
    assert [r["n"] for r in records.read(path)] == [1, 2]
    assert records.last(path)["n"] == 2


def test_no_file_is_no_records(path):
    assert records.read(path) == [] and records.last(path) is None


@pytest.mark.parametrize("torn", ['{"n": 3', '{"n":3,"check":"0"}\n', "\x00" * 50])
def test_a_torn_end_is_ignored_and_cut_off(path, torn):
    records.append(path, {"n": 1})
    with open(path, "a") as file:
        file.write(torn)
    assert records.last(path)["n"] == 1
    records.append(path, {"n": 2})
    assert [r["n"] for r in records.read(path)] == [1, 2]


def test_damage_in_the_middle_needs_a_person(path):
    for n in range(3):
        records.append(path, {"n": n})
    text = open(path).read().replace('"n":1', '"n":9')
    open(path, "w").write(text)
    with pytest.raises(Stop) as stop:
        records.last(path)
    assert stop.value.code == 6 and "line 2 is damaged" in stop.value.fact


def test_the_end_of_a_long_file_is_found_without_reading_it_all(path):
    for n in range(300):
        records.append(path, {"n": n, "why": "x" * 2000}, chained=True)
    assert records.last(path)["n"] == 299
    assert len(records.read(path)) == 300
    records.keep_last(path, 10_000_000, 50)
    assert len(records.read(path)) == 300
    records.keep_last(path, 1000, 50)
    assert [r["n"] for r in records.read(path)] == list(range(250, 300))


def test_a_chain_holds_the_digest_before(path):
    first = records.append(path, {"n": 1}, chained=True)
    assert first["prev"] == "" and records.append(path, {"n": 2}, chained=True)["prev"] == first["check"]


def test_the_state_of_version_0_1_is_understood():
    old = (
        '{"schema": 1, "generation": 3, "release": "1.1.0", "previous": "1.0.0", "slots": {}, "migrated": {}}'
    )
    assert state.parse(old)["release"] == {"live": "1.1.0", "previous": "1.0.0", "candidate": None}
    assert state.parse(state.dump(state.parse(old))) == state.parse(old)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 2, "release": {}}'])
def test_another_state_needs_a_person(text):
    with pytest.raises(Stop) as stop:
        state.parse(text)
    assert stop.value.code == 6


def test_who_must_still_be_told():
    pending = [{"host": "app1", "services": ["api"]}, {"host": "app2", "services": ["api"]}]
    assert state.owe(pending, ["app1"], {"app2": (["worker"], "app2: its disk is full")}) == [
        {"host": "app2", "services": ["api", "worker"], "why": "app2: its disk is full"}
    ]


@pytest.mark.parametrize(("text", "wanted"), [("90", 90), ("90s", 90), ("5m", 300), ("1.5h", 5400)])
def test_durations(text, wanted):
    assert options.seconds(text) == wanted
