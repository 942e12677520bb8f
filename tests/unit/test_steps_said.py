"""What is said of weighted steps: by a run whose step failed, or whose answer was lost; in its report; and masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from test_steps import PAUSED, Run, Watch, clean, plan, step, weighed  # noqa: F401  (clean is a fixture)

from changeover import early
from operations import before, flow, recorder, run, watch
from operations import steps as operations


def test_where_nobody_says_whether_they_stay_nothing_is_said_to_go_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host command may have done it before its answer was lost: then nothing goes back by itself."""
    Watch(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])
    away = {"success": False, "stderr": ["connection lost"]}
    weighed(run, step(25, "pause"), dict.fromkeys(["changeover weight shop 25 --lease 0", "changeover rollback"], away))
    assert watch.OPEN == {"shop": watch.UNSAID} and recorder.outcome(True, watch.OPEN) == "needs_person"
    told = "@fake/one did not say whether clients stay: sudo changeover status shop   (on any of its hosts)"
    assert told in flow.FAILURES["@fake/one"]


@pytest.mark.parametrize("weight, became", [({"percent": 25}, watch.PAUSED), (None, watch.WENT_BACK)])
def test_a_way_back_that_was_refused_went_back_only_where_no_client_stays(
    run: Run, monkeypatch: pytest.MonkeyPatch, weight: Any, became: str
) -> None:
    Watch(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])
    refused = {"success": False, "stderr": ["error  nothing to go back to"]}
    said = json.dumps({"lease": None, "weight": weight})
    weighed(run, step(25), {"changeover rollback": refused, "changeover status": [said]})
    assert watch.OPEN == {"shop": became}


def test_the_report_has_the_moves_of_a_share(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Watch(monkeypatch)

    def moves() -> list[tuple[str, str, str]]:
        found = [(one.system, one.kind, one.label) for one in before.MOMENTS]
        assert all(one.at < one.until for one in before.MOMENTS), "what was sent since it was asked for comes after it"
        before.MOMENTS.clear()
        return found

    for percent in (0, 5):
        weighed(run, step(percent))
    labels = ["only chosen clients to 1.1.0", "5 % of the clients to 1.1.0"]
    assert moves() == [("shop", "step", label) for label in labels]
    weighed(run, step(25), {"changeover weight": {"success": False, "stderr": ["error  edge2 is away"]}})
    assert moves() == [], "nobody was moved"
    monkeypatch.setattr(operations.run, "_live", {"shop": PAUSED})
    weighed(run, step(25))
    assert moves() == [], "they were there already"
    weighed(run, step(50))
    assert [label for *_, label in moves()] == ["50 % of the clients to 1.1.0"]


@pytest.mark.parametrize(
    "on_fail, responses, labels",
    [
        ("pause", {}, []),
        ("previous", {}, ["back to 5 % of the clients"]),
        ("zero", {}, [""]),
        ("previous", {"changeover weight shop 5": {"success": False, "stderr": ["error  no lease"]}}, [""]),
    ],
    ids=["stay", "fewer", "all back", "all back as fewer is refused"],
)
def test_the_report_has_the_moves_of_a_step_that_failed(
    run: Run, monkeypatch: pytest.MonkeyPatch, on_fail: str, responses: dict[str, Any], labels: list[str]
) -> None:
    Watch(monkeypatch, soak=["2 of 9 probes failed (limit 0)"])
    weighed(run, step(25, on_fail), {**responses, "changeover rollback": ["back"]})
    assert [one.label for one in before.MOMENTS] == ["25 % of the clients to 1.1.0", *labels]
    assert [one.kind for one in before.MOMENTS][1:] == ["back" if not label else "step" for label in labels]


def test_what_the_chosen_show_is_masked_like_the_secret_that_signed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no secret of the settings, so only the run knows that it is one: a gateway's file, or its error, has it."""
    monkeypatch.setattr(run, "_mask", lambda text: text)
    over: list[Callable[[str], str]] = []
    monkeypatch.setattr(run.masking, "over_all", over.append)
    made = plan(asked=None)
    known = dict.fromkeys(made.secrets_wanted(), "a secret of the tests")
    source = SimpleNamespace(get=lambda system, name: known[system, name])
    run._mask_output(made, source)  # type: ignore[arg-type]
    (token,) = early.values(made, "shop", source).values()  # type: ignore[arg-type]
    assert token.startswith("qa.") and over == [run.mask]
    assert run.mask(f"map: {token};") == "map: *MASKED*;" and "secret" not in run.mask("a secret of the tests")
