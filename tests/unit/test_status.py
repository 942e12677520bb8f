"""runbooks/status.py: what the hosts say, and what only the control machine knows; it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plans import good
from test_guards import ROOT, Case, end, repository, start

from changeover import fleet
from operations import command_line, status

MESSAGE = "shop   live 1.1.0 since today\n  lock        free\nto go back: changeover rollback shop"
SAID = {"message": MESSAGE, "off": [], "release": {"live": "1.1.0"}}
WORDS = ["inventories/staging.py", "runbooks/status.py", "-y"]


@pytest.mark.parametrize(
    "said, away, settings, more, well",
    [
        (SAID, [], "", [], True),
        (SAID, [], "as group_data says", ["  settings    as group_data says"], True),
        (SAID, ["app2"], "", ["  app2        no SSH from this machine: see: ssh app2"], False),
        ({**SAID, "off": ["worker on app2 is not there"]}, [], "", [], False),
        ({**SAID, "off": None}, [], "", [], False),
        ({**SAID, "off": None, "release": {"live": None}}, [], "", [], True),
    ],
)
def test_what_is_told(said: dict, away: list[str], settings: str, more: list[str], well: bool) -> None:
    first, second, last = MESSAGE.splitlines()
    assert status.told(said, away, settings) == ([first, second, *more, last], well)


def test_what_a_host_refuses_is_told_with_its_way_on() -> None:
    lines, well = status.told({"error": "state.json is damaged", "next": "changeover recover shop"}, [], "")
    assert lines == ["error  state.json is damaged", "next   changeover recover shop"] and not well


def test_who_is_asked() -> None:
    plan = fleet.load(good())
    assert status.asked_first(plan, "shop", list(plan.hosts)) == "edge1"
    assert status.asked_first(plan, "shop", ["app2"]) == "app2"
    assert status.asked_first(plan, "shop", []) is None


@pytest.mark.parametrize(
    "files, only", [(["runbooks/status.py"], True), (["runbooks/status.py", "deploy.py"], False), ([], False)]
)
def test_only_a_run_that_just_looks_goes_on_without_a_host(files: list[str], only: bool) -> None:
    assert command_line.reads({"operations": files}) == only


def run(root: Path, edge: str = "{}", more: str = "") -> tuple[int, str]:
    """The runbook itself, on hosts that are not there."""
    tree = repository(root, Case("", edge=edge))
    (tree / "hostcmd").symlink_to(ROOT / "hostcmd")
    inventory = tree / "inventories/staging.py"
    inventory.write_text(inventory.read_text() + more)
    (tree / "runbooks/status.py").write_text((ROOT / "runbooks/status.py").read_text())
    ended = end(start(tree, " ".join(WORDS)), tree)
    assert not (tree / "reports").exists(), "it only looks"
    return ended.code, "\n".join(ended.lines)


def answers(**changes: object) -> str:
    said = json.dumps({**SAID, "message": MESSAGE.replace("shop", "tiny"), "release": {"live": None}, **changes})
    return repr({"fake_responses": {"status tiny --json": said}})


def test_all_is_well(tmp_path: Path) -> None:
    code, text = run(tmp_path, answers())
    assert code == 0 and text.endswith("to go back: changeover rollback tiny\n") or text.rstrip().endswith("tiny"), text
    assert text.count("live 1.1.0 since today") == 1 and "Traceback" not in text


def test_something_is_off(tmp_path: Path) -> None:
    code, text = run(tmp_path, answers(off=["worker on app2 is not there"]))
    assert code == 1 and "live 1.1.0 since today" in text and "Traceback" not in text


AWAY = """
from pyinfra.connectors.fake import FakeConnector
from pyinfra.api.exceptions import ConnectError
_connect = FakeConnector.connect
def _refused(self):
    if self.host.name.endswith(GONE):
        raise ConnectError("no route to host")
    return _connect(self)
FakeConnector.connect = _refused
"""


def test_a_host_that_is_away_is_named_and_the_rest_is_told(tmp_path: Path) -> None:
    code, text = run(tmp_path, answers(), AWAY.replace("GONE", '"app2"'))
    assert code == 1 and "no route to host" in text
    assert "live 1.1.0 since today" in text and "@fake/app2  no SSH from this machine" in text
    assert text.rstrip().endswith("to go back: changeover rollback tiny")


def test_without_the_coordinator_another_host_is_asked(tmp_path: Path) -> None:
    more = AWAY.replace("GONE", '"edge1"') + f"\napp[0][1].update({answers()})\n"
    code, text = run(tmp_path, "{}", more)
    assert code == 1 and "live 1.1.0 since today" in text and "@fake/edge1 no SSH from this machine" in text


def test_where_no_host_says_anything(tmp_path: Path) -> None:
    code, text = run(tmp_path, repr({"fake_responses": {"status tiny": {"success": False, "stderr": "not found"}}}))
    assert code == 1 and "error  " in text and "next   ssh HOST sudo" in text and "Traceback" not in text
