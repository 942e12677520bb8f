"""Gates in the soak: when each is looked at, what ends the soak, and what nothing may be switched without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from plans import on_all
from watching import Prober, sample, shop

from changeover.gates import Reading
from changeover.live import Live, Releases, SlotState
from changeover.settings import Gate
from operations import flow, gates, run, watch
from operations.gate_sources import Sources
from operations.gates import Looking

GOOD, BAD, ERROR = Reading(1.0), Reading(9.0), Reading(error="planted-secret refused")
STATE: Any = SimpleNamespace(inventory=SimpleNamespace(get_host=lambda name: name))
LIVE = Live(
    release=Releases(live="1.0.0"),
    slots={"api": SlotState(live="blue", blue="1.0.0"), "clock": SlotState(live="blue", blue="1.0.0")},
)
COMMAND = {"name": "depth", "source": {"cmd": ["x"], "service": "api"}, "value": 5}


def gate(**values: Any) -> Gate:
    return Gate.model_validate({**COMMAND, **values})


@pytest.fixture(autouse=True)
def nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "LOOKING", {})
    monkeypatch.setattr(flow, "NOTES", [])
    monkeypatch.setattr(run, "_live", {"shop": LIVE})
    monkeypatch.setattr(run, "_mask", lambda text: text.replace("planted-secret", "*MASKED*"))


@pytest.fixture
def hosts_are_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "stands", lambda *_: [])


class Measured:
    """Measures by the clock: what it says at each second, and when it was asked."""

    def __init__(self, clock: list[float], say: Callable[[float], Reading] = lambda at: GOOD) -> None:
        self.clock, self.say, self.asked = clock, say, []  # type: ignore[var-annotated]

    def __call__(self, gate: Gate) -> Reading:
        at = self.clock[0] - 1000
        self.asked.append(at)
        return self.say(at)


def looking(measured: Any, *wanted: Gate, length: float = 30, spawn: Any = None) -> Looking:
    def now(work: Any, *words: Any) -> None:
        work(*words)

    return Looking("shop", list(wanted or [gate()]), length, measured, spawn or now)


def soak(found: Looking, clock: list[float], monkeypatch: pytest.MonkeyPatch, seconds: str = "30s") -> list[str]:
    """The watch's own loop, with the gates' beat in its pauses."""

    def sleep(pause: float) -> None:
        for _ in range(int(pause / gates.BEAT)):
            clock[0] += gates.BEAT
            found.tick()

    monkeypatch.setattr(watch.time, "sleep", sleep)
    plan = shop(on_all("shop.release", {"soak": seconds}))
    return watch.soak(plan, "shop", lambda *_: (True, []), "T1", gates=found, spawn=lambda look: look())


def test_each_gate_is_looked_at_at_its_own_pace_to_the_end(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    measured = Measured(clock)
    found = looking(measured, gate(), gate(name="slow", every="10s"))
    assert soak(found, clock, monkeypatch) == []
    assert measured.asked == [2.5, 7.5, 10, 12.5, 17.5, 20, 22.5, 27.5, 30], "not both at once"
    assert clock[0] == 1030 + watch.EVERY, "and once more at the hosts"
    assert [tally.verdict for tally in found.tallies] == ["pass", "pass"]


def test_gates_that_cannot_be_looked_at_end_the_soak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat goes on after an error; when it lasts, nobody judges the release, and nothing else would say so."""
    monkeypatch.setattr(gates, "BEAT", 0.01)

    def broken() -> None:
        if len(tries) < gates.DEAF + 1:
            tries.append(1)
            raise OSError("too many open files")

    tries: list[int] = []
    with Looking("shop", [gate()], 30, Measured([1000.0]), listen=broken) as found:
        gevent.sleep(0.05)
        assert found.reasons() == []
        while len(tries) < gates.DEAF + 1:
            gevent.sleep(0.01)
        assert found.reasons() == ["its gates cannot be looked at any more: OSError: too many open files"]
        gevent.sleep(0.05)
        assert found.reasons() == [], "they can again"


def test_a_gate_that_fails_ends_the_soak_with_its_line(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    found = looking(Measured(clock, lambda at: BAD if at >= 8 else GOOD))
    (line,) = soak(found, clock, monkeypatch)
    assert line.startswith("gate depth: 9 (limit 5) in 3 looks of 5s; first at ")
    assert 1020 <= clock[0] <= 1020 + watch.EVERY, "looks at 10, 15 and 20"


def test_a_release_that_fails_in_its_last_seconds_is_looked_at_until_it_is_known(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    found = looking(Measured(clock, lambda at: BAD if at >= 28 else GOOD))
    assert soak(found, clock, monkeypatch)[0].startswith("gate depth: 9 (limit 5) in 3 looks")
    assert 1040 <= clock[0] <= 1042
    clock[0] = 1000
    found = looking(Measured(clock, lambda at: BAD if at == 30 else GOOD))
    assert soak(found, clock, monkeypatch) == [] and 1035 <= clock[0] <= 1037, "one look was a hiccup"


def test_an_error_after_a_failure_does_not_end_the_soak_and_nothing_prolongs_it_for_ever(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    found = looking(Measured(clock, lambda at: BAD if at in (25, 35, 45) else ERROR if at >= 20 else GOOD))
    assert soak(found, clock, monkeypatch)[0].startswith("gate depth: 9 (limit 5) in 3 looks") and clock[0] >= 1045
    clock[0] = 1000
    found = looking(Measured(clock, lambda at: BAD if at == 30 else ERROR if at > 30 else GOOD), gate(error_limit=1000))
    assert soak(found, clock, monkeypatch) == [] and clock[0] <= 1030 + 26 + watch.EVERY


def test_the_last_look_is_waited_for(clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None) -> None:
    """Three looks of ten seconds in a soak of thirty: the third one decides, and comes just as the soak ends."""
    waiting: list[Any] = []
    found = looking(Measured(clock, lambda at: BAD), gate(every="10s"), spawn=lambda *work: waiting.append(work))
    original = found.tick

    def tick() -> None:
        original()
        if waiting and clock[0] >= found._next["depth"] - 10 + 2.5:  # each answer takes two and a half seconds
            work, *words = waiting.pop()
            work(*words)

    monkeypatch.setattr(found, "tick", tick)
    assert soak(found, clock, monkeypatch)[0].startswith("gate depth: 9 (limit 5) in 3 looks of 10s")
    assert 1032 <= clock[0] <= 1035


def test_a_look_that_is_under_way_at_the_end_has_its_say(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    waiting: list[Any] = []
    found = looking(
        Measured(clock, lambda at: BAD),
        gate(every="30s", window="30s", fail_limit=0),
        spawn=lambda *work: waiting.append(work),
    )
    original = found.tick

    def tick() -> None:
        original()
        if waiting and clock[0] >= 1033.5:
            work, *words = waiting.pop()
            work(*words)

    monkeypatch.setattr(found, "tick", tick)
    assert soak(found, clock, monkeypatch)[0].startswith("gate depth: 9 (limit 5) in 1 look of 30s")


def test_a_look_that_hangs_is_not_doubled_and_none_is_made_up_for(clock: list[float]) -> None:
    waiting: list[Any] = []
    found = looking(Measured(clock), spawn=lambda *work: waiting.append(work))
    for _ in range(30):
        clock[0] += 0.5
        found.tick()
    assert len(waiting) == 1 and found.undecided
    work, *words = waiting.pop()
    work(*words)
    found.tick()
    assert len(waiting) == 1, "the look that was due meanwhile, once"


def test_a_mistake_of_our_own_is_an_error_and_no_lost_look(clock: list[float]) -> None:
    def broken(_: Gate) -> Reading:
        raise RuntimeError("ours")

    found = looking(broken)
    clock[0] += 5
    found.tick()
    assert not found._under_way and found.tallies[0].looks[0].reading.error == "RuntimeError: ours"


def test_what_a_source_says_is_masked_and_never_in_the_first_line(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    found = looking(Measured(clock, lambda at: ERROR))
    first, second = soak(found, clock, monkeypatch)
    assert first.startswith("gate depth: an error in 5 looks of 5s; first at ") and second == "*MASKED* refused"


def test_a_gate_that_never_had_its_say_is_no_pass(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None
) -> None:
    found = looking(Measured(clock, lambda at: Reading()), gate(window="2m"))
    assert soak(found, clock, monkeypatch)[0].startswith("gate depth: no data in 6 looks")
    clock[0] = 1000
    lenient = gate(window="2m", nodata_limit=1000)
    assert soak(looking(Measured(clock, lambda at: Reading()), lenient), clock, monkeypatch) == []


def test_the_prober_and_the_hosts_are_heard_first(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, probers: dict[str, Any], tmp_path: Path
) -> None:
    probers["shop"] = Prober(tmp_path / "p", sample(error="status 502 instead of 200", status=502))
    reasons = soak(looking(Measured(clock, lambda at: BAD)), clock, monkeypatch)
    assert reasons[0] == "1 of 1 probes failed (limit 0)" and clock[0] == 1000


def test_a_burst_of_failures_is_in_no_more_looks_than_it_lasted(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, hosts_are_well: None, tmp_path: Path
) -> None:
    """Windows of five seconds, each five seconds, whenever a look comes: one second of failures is one look."""
    file = tmp_path / "p"
    file.write_text("")
    series = gates.Series(file)
    sources = Sources(shop(), "shop", gates.Sides({}, {}, "1.1.0", "1.0.0"), series, lambda name: name)
    wanted = gate(source={"probe": "5xx"}, op="==", value=0, window="5s", min_samples=1, fail_limit=1, name="no_5xx")

    def write() -> None:
        at = clock[0] - 1000
        bad = {"status": 502, "error": "status 502 instead of 200"} if 12 <= at < 13 else {}
        with file.open("a") as out:
            out.write(sample(**bad).line() + "\n")
        series.read()

    found = Looking("shop", [wanted], 30, sources.measure, lambda work, *words: work(*words), write)
    assert soak(found, clock, monkeypatch) == []
    assert [look.verdict for look in found.tallies[0].looks] == ["pass", "pass", "fail", "pass", "pass", "pass"]


# --- before the switch


def answers(monkeypatch: pytest.MonkeyPatch, say: Callable[[Sources, Gate], Reading]) -> list[str]:
    asked: list[str] = []

    def measure(self: Sources, gate: Gate) -> Reading:
        asked.append(gate.name)
        return say(self, gate)

    monkeypatch.setattr(Sources, "measure", measure)
    return asked


def unanswered(*wanted: dict[str, Any], **release: Any) -> str | None:
    return gates.unanswered(shop(on_all("shop.gates", list(wanted)), on_all("shop.release", release)), "shop", STATE)


def test_a_gate_without_data_of_the_old_release_stops_the_switch(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, lambda *_: Reading())
    assert unanswered(COMMAND) == "gate depth: no data of 1.0.0, which is live: there is none; look at shop.gates"
    assert clock[0] <= 1000 + gates.FIRST + gates.AGAIN
    answers(monkeypatch, lambda *_: ERROR)
    assert "which is live: *MASKED* refused; look at" in str(unanswered(COMMAND))


def test_data_that_comes_in_time_and_too_few_requests_are_data(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, lambda *_: GOOD if clock[0] >= 1005 else Reading())
    assert unanswered(COMMAND) is None and clock[0] >= 1005
    answers(monkeypatch, lambda *_: Reading(900.0, count=1))
    latency = {"name": "p95", "source": {"probe": "p95"}, "value": 1, "baseline": {"ratio": 2.0}}
    assert unanswered(latency) is None
    answers(monkeypatch, lambda *_: ERROR)
    lenient = {"error_limit": 1000, "nodata_limit": 1000, "inconclusive_limit": 1000}
    assert unanswered({**latency, **lenient}) is None, "what may have no data at all needs none before, too"
    answers(monkeypatch, lambda *_: BAD)
    assert unanswered(COMMAND) is None, "that the old release would fail is no reason to keep it"


def test_the_old_slots_are_asked_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    slots: list[Any] = []
    answers(monkeypatch, lambda sources, _: slots.append((sources._sides.new, sources._sides.old)) or GOOD)
    assert unanswered(COMMAND) is None
    assert slots == [({"api": "blue", "clock": "blue"}, {})]


def test_nothing_is_asked_of_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, lambda *_: Reading())
    monkeypatch.setattr(run, "_live", {"shop": Live()})
    assert unanswered(COMMAND) is None, "a first installation"
    monkeypatch.setattr(run, "_live", {"shop": LIVE.model_copy(update={"slots": {"clock": LIVE.slots["clock"]}})})
    assert unanswered(COMMAND) is None and asked == [], "api is new with this release"


def test_behind_a_persons_page_no_gate_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, lambda *_: Reading())
    monkeypatch.setattr(run, "_live", {"shop": LIVE.model_copy(update={"maintenance": {"why": "moving"}})})
    assert unanswered(COMMAND) is None and asked == []
    assert flow.NOTES == ["shop: the maintenance page is on, so no gate judges the release"]


def test_without_an_old_slot_beside_the_new_one_there_is_no_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, lambda *_: GOOD)
    both = [COMMAND, {**COMMAND, "name": "memory", "baseline": {"ratio": 2.0}}]
    assert unanswered(*both, strategy="recreate") is None and asked == ["depth"]
    assert flow.NOTES == ["shop: gate memory is left out: there is no old slot beside the new one"]
    flow.NOTES.clear()
    plan = shop(on_all("shop.release", {"strategy": "recreate"}))
    assert [tally.gate.name for tally in gates.begin(plan, "shop", STATE).tallies] == ["no_5xx"]
    assert flow.NOTES == [], "of the defaults nobody needs a word"


# --- what is said and kept


def test_the_last_lines_and_the_record_name_every_gate(clock: list[float]) -> None:
    found = gates.LOOKING["shop"] = looking(Measured(clock, lambda at: BAD), gate(), gate(name="fine", value=10))
    for _ in range(3):
        clock[0] += 5
        found.tick()
    first, second = gates.lines()
    assert first == " gates       shop: 1 of 2 passed (fine 9)"
    assert second.startswith("             depth: 9 (limit 5) in 3 looks of 5s; first at ")
    assert [(one.system, one.name, one.verdict) for one in gates.records()] == [
        ("shop", "depth", "fail"), ("shop", "fine", "pass"),
    ]  # fmt: skip
    assert json.loads(gates.records()[0].model_dump_json())["samples"][0]["value"] == 9.0


def test_what_a_release_is_judged_by_is_said_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    gates.announce(shop(), "shop")
    assert capsys.readouterr().err.splitlines() == [
        " gate        shop: no_5xx == 0 % (probe, every 5s); what is bad goes back after 31 s at most",
        " gate        shop: p95 < 200 ms or 2 x the old slot's (probe, every 5s); "
        "what is bad goes back after 56 s at most",
    ]
