"""Operations run by pyinfra itself on hosts that are not there: what is asked, what is run, what goes to stdin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pyinfra.api import Config, Inventory, State
from pyinfra.api.connect import connect_all
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.fake import FakeConnector
from pyinfra.context import ctx_inventory


@dataclass
class Command:
    """A command as a host got it: its whole text, as a log shows it, and what was on stdin."""

    text: str
    logged: str
    stdin: str | None


@dataclass
class Outcome:
    """What an operation did on the host under test. `commands` are those that change something, not the questions."""

    changed: bool
    failed: bool
    lines: list[str]
    asked: list[Command] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """run(operation, responses, **arguments) on one fake host; a second one keeps the run alive when it fails.

    `beside`: what the second host answers, for operations that ask others.
    """
    seen: list[tuple[str, Command]] = []
    original = FakeConnector.run_shell_command

    def recorded(self: Any, command: Any, *words: Any, **arguments: Any) -> Any:
        raw = command.get_raw_value() if hasattr(command, "get_raw_value") else str(command)
        logged = command.get_masked_value() if hasattr(command, "get_masked_value") else str(command)
        seen.append((self.host.name, Command(raw, logged, arguments.get("_stdin"))))
        return original(self, command, *words, **arguments)

    monkeypatch.setattr(FakeConnector, "run_shell_command", recorded)

    def once(
        operation: Any, responses: dict[Any, Any] | None = None, beside: dict[Any, Any] | None = None, **arguments: Any
    ) -> Outcome:
        seen.clear()
        quick = {"fake_delay": 0, "fake_delay_jitter": 0}
        mine = ("@fake/one", quick | {"fake_responses": responses or {}})
        state = State(Inventory(([mine, ("@fake/two", quick | {"fake_responses": beside or {}})], {})), Config())
        with ctx_inventory.use(state.inventory):
            state.set_stage(StateStage.Connect)
            connect_all(state)
            host = state.inventory.get_host("@fake/one")
            state.set_stage(StateStage.Prepare)
            meta = add_op(state, operation, host=[host], **arguments)[host]
            asked = len(seen)  # pyinfra asks once now, to plan, and once more when it runs
            state.set_stage(StateStage.Execute)
            run_ops(state)
        commands = [command for name, command in seen[asked:] if name == host.name]
        questions = [c for c in commands if any(c.text == q.text for _, q in seen[:asked])]
        return Outcome(
            changed=meta.did_change() if meta.is_complete() and meta.did_succeed() else False,
            failed=host in state.failed_hosts,
            lines=[*meta.stdout_lines, *meta.stderr_lines],
            asked=questions,
            commands=[c for c in commands if c not in questions],
        )

    return once
