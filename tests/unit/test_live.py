"""state.json: what is live survives every run, and a damaged file is never taken for a bare host."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from changeover.live import BLUE, GREEN, Live, SlotState, installed, parse

INSTALLED = Live(
    generation=1,
    release="1.0.0",
    slots={"api": SlotState(live=BLUE, blue="1.0.0")},
    migrated={"release": "1.0.0", "version": "0001"},
)


def test_the_first_installation_fills_blue() -> None:
    assert installed(Live(), "1.0.0", ["api"], {"release": "1.0.0", "version": "0001"}) == INSTALLED


def test_the_same_again_is_the_same_state_to_the_byte() -> None:
    again = installed(INSTALLED, "1.0.0", ["api"], INSTALLED.migrated)
    assert again.to_json() == INSTALLED.to_json()


def test_another_release_goes_into_the_live_slot_and_remembers_the_one_before() -> None:
    green = replace(INSTALLED, slots={"api": SlotState(live=GREEN, blue="0.9.0", green="1.0.0")})
    new = installed(green, "1.1.0", ["api"], None)
    assert new.slots["api"] == SlotState(live=GREEN, blue="0.9.0", green="1.1.0")
    assert (new.release, new.previous, new.generation) == ("1.1.0", "1.0.0", 2)
    assert new.migrated == INSTALLED.migrated, "a run that did not look at the database forgets nothing"


def test_previous_stays_when_the_release_does() -> None:
    state = replace(INSTALLED, previous="0.9.0")
    assert installed(state, "1.0.0", ["api", "web"], None).previous == "0.9.0"


def test_a_service_that_is_new_starts_on_blue_and_one_that_went_is_forgotten() -> None:
    new = installed(INSTALLED, "1.0.0", ["web"], None)
    assert new.slots == {"web": SlotState(live=BLUE, blue="1.0.0")}
    assert new.generation == INSTALLED.generation + 1


def test_slots_that_hold_nothing_are_not_run() -> None:
    assert SlotState(live=GREEN, green="1.1.0").releases() == {"green": "1.1.0"}


@pytest.mark.parametrize("state", [Live(), INSTALLED, replace(INSTALLED, slots={"a": SlotState(GREEN, "1", "2")})])
def test_what_is_written_is_what_is_read(state: Live) -> None:
    assert parse(state.to_json()) == state


@pytest.mark.parametrize("text", [None, ""])
def test_no_file_is_a_system_that_was_never_installed(text: str | None) -> None:
    assert parse(text) == Live()


DAMAGED = {
    "{": "state.json is damaged (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))",
    "\n": "state.json is damaged (Expecting value: line 2 column 1 (char 1))",
    "empty or unreadable": "state.json is damaged (Expecting value: line 1 column 1 (char 0))",
    "null": "state.json is damaged (it names no schema; this Changeover knows 1)",
    "[]": "state.json is damaged (it names no schema; this Changeover knows 1)",
    "{}": "state.json is damaged (it names no schema; this Changeover knows 1)",
    '{"schema": 2}': "state.json has schema 2, this Changeover knows 1",
    '{"schema": 1, "slots": {"api": {"live": "purple"}}}': (
        "state.json is damaged (slots.api.live: should be 'blue' or 'green')"
    ),
    '{"schema": 1, "slots": {"api": "blue"}}': "state.json is damaged (slots.api: should be an object)",
    '{"schema": 1, "weight": 5}': "state.json is damaged (weight: Unexpected keyword argument)",
    '{"schema": 1, "release": 1.1}': "state.json is damaged (release: should be a valid string)",
}


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_said_and_not_guessed(text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert str(error.value) == DAMAGED[text]


def test_half_a_file_is_damaged() -> None:
    whole = INSTALLED.to_json()
    assert json.loads(whole)["release"] == "1.0.0"
    for end in range(1, len(whole) - 2):
        with pytest.raises(ValueError):
            parse(whole[:end])
