"""Integration tests of an idle slot: which slots, with what in their environment, and what a failure leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import ROOT, good, on_all

from changeover import fleet
from changeover.candidates import Candidate, candidates, variables
from changeover.live import Live, Releases, SlotState
from changeover.plan import Plan
from changeover.secrets import Mask, Secrets
from changeover.settings import Integration
from operations import commands, flow, integration, process, watch
from operations import run as this_run

CANARY = "s3cr3t-canary-4711"
TEST: dict[str, Any] = {"run": ["true"], "secrets": ["TOKEN"]}
LIVE = Live(
    generation=7,
    release=Releases(live="1.0.0", previous="0.9.0"),
    slots={name: SlotState(live="blue", blue="1.0.0", green="0.9.0") for name in ("api", "clock")},
)


def plan(asked: str | None = "1.1.0", **test: Any) -> Plan:
    hosts = good()
    on_all("shop.services.api.test", {**TEST, **test})(hosts)
    if asked:
        on_all("release", asked)(hosts)
    return fleet.load(hosts)


# --- which slots


def test_the_idle_slot_of_a_new_release_beside_the_live_one() -> None:
    (one,) = candidates(plan(), "shop", "app2", LIVE)
    assert (one.service, one.slot, one.release, one.address) == ("api", "green", "1.1.0", "10.0.0.13")
    assert (one.port, one.other) == (18001, 18000)


def test_a_first_installation_has_no_other_slot() -> None:
    (one,) = candidates(plan(None), "shop", "app1", Live())
    assert (one.slot, one.release, one.port, one.other) == ("blue", "1.0.0", 18000, None)


def test_behind_the_maintenance_page_the_other_slot_is_stopped() -> None:
    made = plan()
    release = made.systems["shop"].release.model_copy(update={"strategy": "recreate"})
    systems = {**made.systems, "shop": made.systems["shop"].model_copy(update={"release": release})}
    (one,) = candidates(replace(made, systems=systems), "shop", "app1", LIVE)
    assert (one.port, one.other) == (18001, None)


def test_new_settings_are_tested_too() -> None:
    (one,) = candidates(plan(None), "shop", "app1", LIVE.model_copy(update={"drifted": True}))
    assert (one.slot, one.release) == ("green", "1.0.0")


def test_without_a_candidate_and_elsewhere_nothing_is_tested() -> None:
    assert candidates(plan(None), "shop", "app1", LIVE) == [], "the way back is no candidate"
    assert candidates(plan(), "shop", "edge1", LIVE) == []
    assert candidates(fleet.load(good()), "shop", "app1", Live()) == []


# --- the environment


def test_the_process_gets_its_own_secrets_and_no_others() -> None:
    own = {"HOME": "/h", "TOKEN": "old", "SHOP_TOKEN": "old", "DB": "x", "OTHER_URL": "http://old", "NO_PROXY": "a"}
    test = Integration(run=["true"], env={"MAY": "1"}, secrets=["TOKEN"])
    given = {"BASE_URL": "http://127.0.0.1:1", "RELEASE": "1.1.0"}
    found = variables(own, test, given, {"TOKEN": "new"}, {"TOKEN", "SHOP_TOKEN", "DB"})
    assert found == {
        "HOME": "/h", "MAY": "1", "TOKEN": "new", **given, "NO_PROXY": "a,127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip


def test_all_systems_secrets_are_known_by_both_names() -> None:
    found = commands.hidden(plan())
    assert {"TOKEN", "SHOP_TOKEN", "SHOP_DB_PASSWORD", "SHOP_SHOP_DB_PASSWORD"} <= found


# --- the process


def run_sh(script: str, limit: float = 20, folder: Path = Path(".")) -> process.Ended:
    return process.run(["sh", "-c", script], folder, os.environ, limit)


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and waits for its parent does not)."""
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pid: int, limit: float = 5) -> bool:
    end = time.monotonic() + limit
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_exit_code_output_and_folder(tmp_path: Path) -> None:
    assert run_sh("echo one; echo two >&2; exit 3") == process.Ended(3, "one\ntwo\n")
    assert run_sh("pwd", folder=tmp_path).output.strip() == str(tmp_path)


def test_it_takes_the_programs_of_this_python_first() -> None:
    assert process.find("pytest") == str(Path(sys.executable).with_name("pytest"))
    assert process.find("no-such-program") is None


def test_what_takes_too_long_is_ended_with_its_children() -> None:
    began = time.monotonic()
    ended = run_sh("sleep 301 & echo $!; echo begun; trap '' TERM; while :; do sleep 0.1; done", limit=0.5)
    assert ended.code is None and ended.output.endswith("begun\n")
    assert time.monotonic() - began < 0.5 + process.GRACE + 3
    assert gone(int(ended.output.split()[0]))


def test_a_child_that_is_left_behind_is_ended() -> None:
    ended = run_sh("sleep 302 > /dev/null 2>&1 & echo $!")
    assert ended.code == 0 and gone(int(ended.output))


def test_a_run_that_is_killed_leaves_no_tests_behind(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = (
        "import os, pathlib; from operations import process;"
        f"process.run(['sh', '-c', 'echo $$ > {note}; exec sleep 303'], pathlib.Path('.'), os.environ, 60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as run:
        end = time.monotonic() + 10
        while not (note.exists() and note.read_text().strip()) and time.monotonic() < end:
            time.sleep(0.05)
        pid = int(note.read_text())
        assert alive(pid)
        time.sleep(0.3)  # its guard begins just after it
        run.send_signal(signal.SIGKILL)
    assert gone(pid)


# --- the step


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(this_run, "_mask", Mask([CANARY]))
    secrets = dict.fromkeys(("TOKEN", "SHOP_DB_PASSWORD", "POSTGRES_PASSWORD"), CANARY)
    monkeypatch.setattr(this_run, "_secrets", Secrets(tmp_path / "none", secrets))
    monkeypatch.setattr(flow, "CHECKS", [])
    monkeypatch.setattr(flow, "FILES", {})
    monkeypatch.setattr(flow, "REPORT", [lambda: Path("reports/now")])
    monkeypatch.setenv("SHOP_DB_PASSWORD", CANARY)
    monkeypatch.chdir(tmp_path)
    flow.FAILURES.clear()


def step(run: Callable[..., Outcome], script: str, **test: Any) -> Outcome:
    settings = Integration(run=["sh", "-c", script], secrets=["TOKEN"], **test)
    one = Candidate("api", "green", "1.1.0", "10.0.0.12", 18001, 18000, settings)
    return run(integration.tested, system="shop", one=one, serving="1.0.0", hide={"TOKEN", "SHOP_DB_PASSWORD"})


def test_tests_that_pass_are_in_the_record_with_their_last_line_and_time(run: Callable[..., Outcome]) -> None:
    done = step(run, 'test "$BASE_URL $OTHER_URL $RELEASE" = "http://10.0.0.12:18001 http://10.0.0.12:18000 1.1.0" '
                       "&& echo && echo '=== 31 passed in 0.2s ==='")  # fmt: skip
    assert not done.failed, flow.FAILURES
    (check,) = flow.CHECKS
    assert (check.item, check.verdict) == ("shop: integration tests of api green on @fake/one", "pass")
    assert check.evidence.startswith("31 passed in 0.2s (") and check.evidence.endswith("s); output: " + only())


def only() -> str:
    (name,) = flow.FILES
    return name


def test_tests_that_fail_stop_the_run_and_say_where_all_of_it_is(run: Callable[..., Outcome]) -> None:
    done = step(run, "seq 100; echo 1 failed; exit 1")
    assert done.failed
    lines = flow.FAILURES["@fake/one"]
    assert lines[0] == "api green on @fake/one (1.1.0): the integration tests ended with exit code 1; the last lines:"
    assert lines[1] == "  87" and lines[-3] == "  1 failed"
    assert lines[-2] == f"the whole output: reports/now/{only()}"
    assert lines[-1] == "nothing was switched; 1.0.0 serves as before"
    assert flow.FILES[only()].read_text().startswith("1\n2\n")
    assert [one.verdict for one in flow.CHECKS] == ["fail"]


def test_tests_that_fail_half_way_say_what_goes_back(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "OPEN", {"shop": watch.HALF_WAY})
    assert step(run, "exit 1").failed
    last = flow.FAILURES["@fake/one"][-1]
    assert last == "the switch is half-way; it goes back to 1.0.0"


def test_tests_that_hang_stop_the_run(run: Callable[..., Outcome]) -> None:
    done = step(run, "exec sleep 304", timeout="300ms")
    assert done.failed
    assert "the integration tests took over 300ms; the last lines:" in flow.FAILURES["@fake/one"][0]


def test_a_secret_that_is_printed_is_masked_wherever_it_goes(run: Callable[..., Outcome], tmp_path: Path) -> None:
    step(run, 'echo "with $TOKEN"; env; echo "$TOKEN"; exit 1')
    text = flow.FILES[only()].read_text()
    assert "with *MASKED*" in text and "TOKEN=*MASKED*" in text
    assert "SHOP_DB_PASSWORD" not in text, "it is another's"
    said = "\n".join(flow.FAILURES["@fake/one"]) + flow.CHECKS[0].model_dump_json()
    assert "*MASKED*" in said and CANARY not in said + text


def test_a_folder_or_program_that_is_not_here_is_found_before_anything_is_touched(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert integration.missing(plan(run=["pytest"]), "shop") == []
    assert integration.missing(plan(folder="nowhere"), "shop") == [
        "shop.services.api.test.folder: no folder nowhere on this machine"
    ]
    assert integration.missing(plan(run=["no-such-program"]), "shop") == [
        "shop.services.api.test.run: no program no-such-program on this machine; install it, or give its path"
    ]
    assert integration.missing(fleet.load(good()), "shop") == []
    settings = Integration(run=["./gone"])
    one = Candidate("api", "green", "1.1.0", "10.0.0.12", 18001, None, settings)
    assert run(integration.tested, system="shop", one=one, serving="1.0.0", hide=set()).failed
    assert "the integration tests cannot begin: " in flow.FAILURES["@fake/one"][0]
