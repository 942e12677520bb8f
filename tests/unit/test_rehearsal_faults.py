"""The faults' own judgement: each can fail, and what they wait for is what the phases say."""

import re
from pathlib import Path

import pytest

from rehearsal import evidence
from rehearsal.faults import command, control, fault, served, verdict
from rehearsal.faults.deploy import steps
from rehearsal.faults.fault import Fault
from rehearsal.faults.registry import FAULTS
from rehearsal.faults.scene import Look, wrong
from rehearsal.faults.served import Sample

ROOT = Path(__file__).parents[2]
SLOTS = {"api": {"live": "green", "blue": "1.1.0", "green": "1.1.1"}, "worker": {"live": "green"}}
SETTINGS = {
    "gateways": ["edge1"],
    "services": {"api": {"hosts": ["app1"], "traffic": True}, "worker": {"hosts": ["app1"], "traffic": False}},
}


def state(**changes):
    release = {"live": "1.1.1", "previous": "1.1.0", "candidate": None}
    return {"generation": 7, "release": release, "slots": SLOTS, "lease": None, "pending": [], **changes}


def looks(**changes):
    containers = {"tasktracker-api-green-1": "1.1.1", "tasktracker-worker-green-1": "1.1.1"}
    app = {"containers": containers, "answers": {"tasktracker-api-green-1": '{"release":"1.1.1"}'}}
    app |= {"state": state(), "settings": SETTINGS, "served": ""} | changes
    return {"edge1": Look(app["state"], SETTINGS, "7", {}, {}), "app1": Look(**app)}


def test_one_release_everywhere_is_seen():
    assert wrong(looks(), "1.1.1") == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (looks(containers={"tasktracker-api-green-1": "1.1.0", "tasktracker-worker-green-1": "1.1.1"}), "api-green"),
        (looks(containers={"tasktracker-api-green-1": "1.1.1"}), "worker-green on app1 runs not"),
        (looks(answers={"tasktracker-api-green-1": '{"release":"1.1.0"}'}), "answers"),
        (looks(state=state(lease={"txn": "t"})), "something is open"),
        (looks(state=state(pending=[{"host": "app1"}])), "something is open"),
        ({**looks(), "app1": Look(state(generation=6), SETTINGS, "", *list(vars(looks()["app1"]).values())[3:])}, "6"),
        ({**looks(), "edge1": Look(state(), SETTINGS, "6", {}, {})}, "serves generation 6"),
    ],
)
def test_what_is_not_one_release_everywhere_is_seen(found, words):
    assert any(words in line for line in wrong(found, "1.1.1")), wrong(found, "1.1.1")


def test_another_release_than_the_one_that_must_serve_is_seen():
    assert "1.1.1 is live, not 1.1.0" in wrong(looks(), "1.1.0")


def test_both_slots_of_a_worker_are_too_many():
    both = {f"tasktracker-{name}-1": "1.1.1" for name in ("api-green", "worker-green", "worker-blue")}
    assert "worker on app1 runs in both slots" in wrong(looks(containers=both), "1.1.1")


def test_time_back_counts_from_the_fault_or_from_the_switch():
    samples = [Sample(t, "new" if 10 <= t < 20 else "old") for t in range(40)]
    assert served.back_after(samples, 15, "old", "new") == 4.2
    assert served.back_after(samples, 5, "old", "new") == 9.2
    assert served.back_after(samples, 25, "old", "new") == 0
    assert served.silent([Sample(t, "") for t in range(4)] + [Sample(9, "old")]) == 1.0


GOOD = " failed x\n where   app2\n why   it is cold\n next   again"


@pytest.mark.parametrize(
    ("code", "text", "release", "words"),
    [
        (None, GOOD, fault.OLD, "never ended"),
        (0, GOOD, fault.OLD, "exit code 0"),
        (1, GOOD, fault.NEW, "exit code 1"),
        (1, "", fault.OLD, "it does not say 'cold'"),
        (1, "cold", fault.OLD, "no next step"),
        (1, f"{GOOD}\n{verdict.TRACE}", fault.OLD, "stack trace"),
    ],
)
def test_an_end_that_is_not_as_it_must_be_is_seen(code, text, release, words):
    assert any(words in line for line in verdict.said_wrong(Fault("n", "d", says=("cold",)), code, text, release))
    assert verdict.said_wrong(Fault("n", "d", says=("cold",)), 1, GOOD, fault.OLD) == []


def test_a_fault_waits_for_steps_that_there_are():
    """A step that was renamed would make its fault come never, or at another moment."""
    code = "\n".join(path.read_text() for folder in ("operations", "phases") for path in (ROOT / folder).glob("*.py"))
    for one in FAULTS.values():
        step = re.sub(r"layer \d", "layer {number}", one.at).partition(" (")[0]
        assert step in code, (one.name, one.at)


def test_the_steps_of_a_run_are_read():
    lines = ["--> Starting operation: phases/stage.py | release | tasktracker: 1.1.1 takes the idle slots "]
    assert steps(lines) == ["phases/stage.py | release | tasktracker: 1.1.1 takes the idle slots"]


def test_every_fault_has_its_name_and_words():
    for name, one in FAULTS.items():
        assert re.fullmatch(r"[a-z0-9-]{4,28}", name) and one.does, name
        assert one.killed or one.says or one.ends != fault.OLD or one.needs, f"{name}: nothing must be said"
    assert {step for step in control.STEPS if f"killed-before-{step}" in FAULTS} == set(control.STEPS)


def test_an_unknown_fault_is_refused(capsys):
    assert command.run(["no-such"]) == 2
    assert "no fault no-such" in capsys.readouterr().err
    assert command.run([]) == 0
    assert "gateway-killed" in capsys.readouterr().out


def test_the_page_shows_what_was_seen_of_a_fault(tmp_path):
    shown = "".join(f'<property name="{k}" value="{v}"/>' for k, v in verdict.Verdict("cold", "cools it").row().items())
    case = f'<testcase classname="tests.faults.test_faults" name="test_fault[cold]"><properties>{shown}</properties>'
    bad = case.replace("</properties>", "</properties><failure/>")
    other = '<testcase classname="a" name="test_warm" time="2"/>'
    (tmp_path / "1.xml").write_text(f"<s>{bad}</testcase>{other}</s>")
    (tmp_path / "2.xml").write_text(f"<s>{case}</testcase></s>")
    first, both = evidence.page(tmp_path / "1.xml"), evidence.page(tmp_path / "1.xml", tmp_path / "2.xml")
    assert "| cold | cools it | 0 of 0 | 0.0 | None |  | **failed** |" in first and "1 passed, 1 failed" in first
    assert "| cold | cools it | 0 of 0 | 0.0 | None |  | as it must |" in both and "2 passed, 0 failed" in both
    assert "| warm | as it must | 2 |" in both
