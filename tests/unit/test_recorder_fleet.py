"""The recorder on fifty hosts that are not there: pyinfra runs the steps, and what comes of it is a page for people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from plans import good, on_all
from pyinfra.api import Config, Inventory, State, StringCommand, operation
from pyinfra.api.connect import connect_all
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_inventory, ctx_state

from changeover import fleet, record, report
from changeover.live import Live, Releases
from operations import before, flow, gates, run, watch
from operations.recorder import Recorder

HOSTS, PHASES, STEPS = 50, ("secure", "provision", "images", "services", "gateway", "switch"), 4


@operation(is_idempotent=False)
def told(number: int) -> Iterator[StringCommand]:
    yield StringCommand(f"echo step {number}")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> record.Record:
    """What the recorder makes of a run of shop to 1.1.0 on fifty hosts; on one of them one step fails."""
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    on_all("system", "shop")(hosts)
    monkeypatch.setattr(run, "_plan", fleet.load(hosts))
    monkeypatch.setattr(run, "_live", {"shop": Live(release=Releases(live="1.0.0"))})
    empty = ((before, "TOLD", {}), (before, "MOMENTS", []), (flow, "CHECKS", []), (watch, "OPEN", {}))
    looked = record.Gate(system="shop", name="depth", verdict="error", why="psql: password canary is wrong")
    monkeypatch.setattr(gates, "records", lambda: [looked])
    monkeypatch.setattr(run, "_mask", lambda text: text.replace("canary", "***"))
    for module, name, value in empty:
        monkeypatch.setattr(module, name, value)
    quick: dict[str, Any] = {"fake_delay": 0, "fake_delay_jitter": 0}
    fails = {"fake_responses": {"step 23": {"success": False, "stderr": ["no room on /"]}}}
    fleet_ = [(f"@fake/app{n:02}", quick | (fails if n == 7 else {})) for n in range(1, HOSTS + 1)]
    state = State(Inventory((fleet_, {})), Config())
    recorder = Recorder(state, "pyinfra inventories/staging.py deploy.py -y")
    state.add_callback_handler(recorder)
    with ctx_state.use(state), ctx_inventory.use(state.inventory):
        state.set_stage(StateStage.Connect)
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        for number in range(len(PHASES) * STEPS):
            phase = PHASES[number // STEPS]
            add_op(state, told, number=number, name=f"phases/{phase}.py | {phase} | shop: step {number}")
        state.set_stage(StateStage.Execute)
        run_ops(state)
        return recorder._record({})


def test_a_run_on_fifty_hosts_is_a_record_and_a_small_page(recorded: record.Record) -> None:
    assert len(recorded.steps) == HOSTS * len(PHASES) * STEPS and len(recorded.changes) == HOSTS
    assert recorded.outcome == "failed" and [s.host for s in recorded.steps if s.outcome == "failed"] == ["@fake/app07"]
    assert recorded.error and recorded.error.why == "no room on /"
    assert [one.why for one in recorded.gates] == ["psql: password *** is wrong"], "a source may say a secret"
    began = time.process_time()
    page = report.render(recorded)
    assert time.process_time() - began < 1 and len(page.encode()) < 2_000_000
    assert "failed on @fake/app07, 1 of 50 hosts of staging" in page
    assert f"<summary>{HOSTS - 1} hosts without a failed step</summary>" in page
    assert record.Record.model_validate_json(recorded.model_dump_json()) == recorded
    assert report.render(record.Record.model_validate_json(recorded.model_dump_json())) == page
