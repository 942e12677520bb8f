"""What a host is reached by goes back unless it is confirmed: killed at any step, refused, or not loaded."""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import firewall, fleet, hardening
from changeover.files import File
from operations import guard
from operations import run as run_module

SCRIPT = Path(__file__).resolve().parents[2] / "operations/on_host/guard.py"
Run = Callable[..., Outcome]


class Killed(BaseException):
    """As a SIGKILL: nothing is cleaned up."""


class Host:
    """A folder that stands for a host's disk, and the script's functions on it. `ran`: the commands it ran."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch):
        spec = importlib.util.spec_from_file_location("guard_on_host", SCRIPT)
        assert spec and spec.loader
        self.script: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.script)
        self.monkeypatch, self.root, self.ran = monkeypatch, root, []
        self.fails: tuple[str, ...] = ()
        for name, value in {"HOME": root, "UNDO": root / "guard.json", "WRITTEN": root / "written"}.items():
            monkeypatch.setattr(self.script, name, str(value))
        monkeypatch.setattr(self.script, "run", self.run)
        self.rules, self.other = root / "nftables.conf", root / "sshd.conf"
        self.rules.write_text("old\n")

    def run(self, words: list[str]) -> str:
        self.ran.append(" ".join(words))
        return "it said no" if any(word in self.fails for word in words) else ""

    def state(self) -> tuple[str | None, ...]:
        return tuple(path.read_text() if path.exists() else None for path in (self.rules, self.other))

    def apply(self, token: str = "t1") -> None:
        part = {"check": [["check", "{}/x"]], "load": [["load"]], "undo": [["undo"]]}
        asked = {
            "token": token,
            "seconds": 90,
            "parts": [
                {"name": "firewall", "files": [self.file(self.rules, "new\n")], **part},
                {"name": "sshd", "files": [self.file(self.other, "more\n")], **part},
            ],
        }
        self.monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked)))
        self.script.main(["apply"])

    def file(self, path: Path, content: str) -> dict[str, str]:
        return {"path": str(path), "mode": "644", "content": b64encode(content.encode()).decode()}

    def waits(self) -> bool:
        return (self.root / "guard.json").exists()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


OLD, NEW = ("old\n", None), ("new\n", "more\n")


def test_what_is_confirmed_stays(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.apply()
    assert host.state() == NEW and host.waits()
    timer = next(i for i, words in enumerate(host.ran) if words.startswith("systemd-run"))
    assert "--on-active=90s" in host.ran[timer] and timer < host.ran.index("load"), "armed before anything is changed"
    host.script.main(["confirm", "t1"])
    host.script.main(["revert"])
    assert host.state() == NEW and not host.waits()
    (kept,) = host.root.glob("nftables.conf.before-changeover-*")
    assert kept.read_text() == "old\n" and str(kept) in capsys.readouterr().out, "foreign, so it is kept"


def test_a_file_that_is_ours_is_not_kept_again(host: Host) -> None:
    (host.root / "written").write_text(f"{host.rules}\n")
    host.apply()
    host.script.main(["confirm", "t1"])
    assert not list(host.root.glob("*.before-*"))


def test_what_nobody_confirms_goes_back(host: Host) -> None:
    host.apply()
    host.ran.clear()
    host.script.main(["revert"])
    assert host.state() == OLD and not host.waits()
    assert host.ran.count("undo") == 2


def test_after_a_boot_only_the_files_go_back(host: Host) -> None:
    host.apply()
    host.ran.clear()
    host.script.main(["boot"])
    assert host.state() == OLD and "undo" not in host.ran


def test_another_runs_word_confirms_nothing(host: Host) -> None:
    host.apply()
    with pytest.raises(SystemExit, match="run the deploy again"):
        host.script.main(["confirm", "t2"])
    assert host.waits()


def test_a_second_change_takes_the_unconfirmed_one_back_first(host: Host) -> None:
    host.apply()
    host.apply("t2")
    host.script.main(["revert"])
    assert host.state() == OLD, "and not the first one's"


@pytest.mark.parametrize("fails, says", [("check", "nothing was changed"), ("systemd-run", "nothing was changed")])
def test_what_is_refused_changes_nothing(host: Host, fails: str, says: str) -> None:
    host.fails = (fails,)
    with pytest.raises(SystemExit, match=says):
        host.apply()
    assert host.state() == OLD and not host.waits() and "load" not in host.ran


def test_what_cannot_be_loaded_goes_back_at_once(host: Host) -> None:
    host.fails = ("load",)
    with pytest.raises(SystemExit, match="firewall could not be loaded; all is as it was"):
        host.apply()
    assert host.state() == OLD and not host.waits()


def test_killed_at_any_step_it_is_old_or_goes_back(host: Host) -> None:
    """Every write and every command in turn is the last one; whoever comes next, the timer, undoes the rest."""
    steps = 0

    def until(limit: int, name: str) -> Callable[..., Any]:
        original = getattr(host.script, name)

        def counted(*words: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > limit:
                raise Killed
            return original(*words)

        return counted

    limit = 0
    while True:
        steps = 0
        with host.monkeypatch.context() as patch:
            for name in ("put", "remove", "run"):
                patch.setattr(host.script, name, until(limit, name))
            try:
                host.apply()
                break
            except Killed:
                pass
        assert host.state() == OLD or host.waits(), f"step {limit}: changed, and nothing waits"
        host.script.main(["revert"])
        assert host.state() == OLD and not host.waits(), f"step {limit}"
        limit += 1
    assert limit > 10


# --- what the deploy asks of it


def states(*files: File) -> list[str]:
    return [f"{file.digest()} {file.mode} root:0 root:0 {file.path}" for file in files]


PLAN = fleet.load(good())
SSHD, RULES = hardening.sshd(PLAN.fleet, {}), firewall.rules(PLAN, "data1", [22])
AS_IT_IS = {
    "sshd -T": ["port 22"],
    "nft list": [firewall.digest(RULES)],
    "changeover-guard status": [],
}


def asked(run: Run, responses: dict[str, list[str]], exact: bool = False) -> Outcome:
    return run(guard.loaded, responses, plan=PLAN, who="data1", token="t", exact=exact)


def test_nothing_is_loaded_when_all_is_there(run: Run) -> None:
    done = asked(run, AS_IT_IS | {SSHD.path: states(SSHD), RULES.path: states(RULES)})
    assert not done.changed and done.commands == []


@pytest.mark.parametrize(
    "change, parts",
    [
        ({SSHD.path: []}, ["sshd"]),
        ({RULES.path: []}, ["firewall"]),
        ({"nft list": []}, ["firewall"]),
        ({"nft list": ["0123456789abcdef"]}, ["firewall"]),
    ],
)
def test_only_what_differs_is_loaded(run: Run, change: dict[str, list[str]], parts: list[str]) -> None:
    done = asked(run, AS_IT_IS | {SSHD.path: states(SSHD), RULES.path: states(RULES)} | change)
    (command,) = done.commands
    assert command.text.endswith("changeover-guard apply") and command.stdin
    sent = json.loads(command.stdin)
    assert [part["name"] for part in sent["parts"]] == parts and (sent["token"], sent["seconds"]) == ("t", 90)


def test_what_another_run_left_unconfirmed_goes_back_first(run: Run) -> None:
    responses = AS_IT_IS | {"changeover-guard status": ["firewall"], SSHD.path: states(SSHD), RULES.path: []}
    done = asked(run, responses)
    told = [command.text for command in done.commands if "nft " not in command.text and "sshd" not in command.text]
    assert [text.split()[-1] for text in told if "changeover-guard" in text] == ["revert", "apply"]


@pytest.mark.parametrize("exact", [False, True])
def test_only_a_run_of_its_own_shuts_what_the_plan_does_not_open_any_more(run: Run, exact: bool) -> None:
    wider = good()
    on_all("fleet.firewall", {"open": [{"port": 9100}]})(wider)
    was = firewall.rules(fleet.load(wider), "data1", [22])
    there = {"sha256sum": [*states(SSHD), *states(was)], "&& cat /etc/nftables.conf": str(was.content).splitlines()}
    done = asked(run, AS_IT_IS | {"nft list": [firewall.digest(was)]} | there, exact)
    sent = [part for command in done.commands for part in json.loads(command.stdin or "{}").get("parts", [])]
    written = [b64decode(file["content"]).decode() for part in sent for file in part["files"]]
    assert [("9100" in text) for text in written] == ([False] if exact else [True])


@pytest.mark.parametrize(
    "words, exact",
    [
        (["phases/secure.py"], True),
        (["phases/preflight.py", "phases/secure.py"], True),
        (["deploy.py"], False),
        (["phases/secure.py", "phases/services.py"], False),
        ([], False),
    ],
)
def test_a_run_of_its_own(words: list[str], exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_files", [Path(word) for word in words])
    assert run_module.alone() == exact


def test_the_rules_are_loaded_at_boot_before_they_are_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that reboots between the two would come up without a firewall."""
    told: list[str] = []
    for module, name in ((guard.units, "ready"), (guard, "confirmed"), (guard, "loaded")):
        monkeypatch.setattr(module, name, lambda *_, _op=name, **values: told.append(f"{_op} {values.get('enabled')}"))
    for module, name in ((guard.flow, "require"), (guard.flow, "barrier"), (guard, "reached"), (guard, "obeyed")):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    monkeypatch.setattr(guard, "problems", lambda *_: [])
    monkeypatch.setattr(guard, "notes", lambda *_: [])
    inspect.unwrap(guard.guarded)(PLAN, "data1", "t", exact=False)
    order = [told.index(one) for one in ("loaded None", "ready ['nftables.service']", "confirmed None")]
    assert order == sorted(order)
