"""What is live, read from a host; and which slot a release goes to."""

import json

import pytest

from changeover.live import Live, Place, Releases, SlotState, other, parse, places

STATE = {
    "schema": 1,
    "generation": 3,
    "release": {"live": "1.0.0", "previous": None, "candidate": None},
    "slots": {"api": {"live": "green", "blue": "0.9.0", "green": "1.0.0"}},
    "held": {"0.9.1": "it lost rows"},
    "something": "that a newer host command writes",
}


def state(**changes: object) -> Live:
    return parse(json.dumps({**STATE, **changes}))


def test_no_file_is_a_system_that_was_never_installed():
    assert parse("") == parse(None) == Live()
    assert Live().release.live is None


def test_a_state_is_read_and_what_is_newer_is_ignored():
    live = state()
    assert live.release == Releases(live="1.0.0")
    assert live.slots["api"] == SlotState(live="green", blue="0.9.0", green="1.0.0")
    assert live.held == {"0.9.1": "it lost rows"}


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "state.json is damaged"),
        ("[]", "it names no schema; this Changeover knows 1"),
        ('{"schema": 2}', "state.json has schema 2, this Changeover knows 1"),
        (json.dumps({**STATE, "generation": "3"}), "generation:"),
        (json.dumps({**STATE, "slots": {"api": {"live": "purple"}}}), "slots.api.live:"),
    ],
)
def test_a_damaged_file_is_said(text: str, words: str):
    with pytest.raises(ValueError, match="state.json") as error:
        parse(text)
    assert words in str(error.value)


def test_the_first_release_takes_blue():
    assert places(Live(), "api", "1.0.0") == [Place("blue", "1.0.0", "candidate")]


def test_the_live_release_keeps_its_slot_and_the_one_before_stays_defined():
    assert places(state(), "api", "1.0.0") == [Place("green", "1.0.0", "live"), Place("blue", "0.9.0", "previous")]


def test_another_release_takes_the_idle_slot_and_never_the_live_one():
    assert places(state(), "api", "1.1.0") == [Place("green", "1.0.0", "live"), Place("blue", "1.1.0", "candidate")]


def test_a_service_that_is_new_is_a_candidate_of_the_live_release():
    assert places(state(), "mail", "1.0.0") == [Place("blue", "1.0.0", "candidate")]


def test_there_are_two_slots():
    assert [other("blue"), other("green")] == ["green", "blue"]
