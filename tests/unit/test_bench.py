"""The benchmark's reading of other programs' output, its statistics and its page, on made-up data."""

import json
import signal
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import figures, noop, rehearsal, rows
from bench.run import BenchError, run


@pytest.fixture(autouse=True)
def signals():
    """The program sets a handler for its whole process; the other tests of this one must not inherit it."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


RECAP = """
PLAY RECAP *********
app1    : ok=6    changed=0    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
edge1   : ok=6    changed={changed}    unreachable={unreachable}    failed=0    skipped=3    rescued=0    ignored=0
"""
ABOUT = {
    "command": "python -m bench noop",
    "date": "2026-11-21 22:00 UTC",
    "commit": "abc1234",
    "machine": {"cores": 2, "memory": 24, "kernel": "Linux 6.1", "load": 0.2},
}
NOOP = {
    **ABOUT,
    "seconds": {
        "pyinfra": [5.0, 4.0, 6.0],
        "ansible": [60.0, 50.0, 70.0],
        "pyinfra-plain": [3.0, 3.0, 3.0],
        "ansible-plain": [24.0, 24.0, 24.0],
    },
    "totals": [{"hosts": 95, "success": 0, "error": 0, "no_change": 95}] * 2,
    "versions": "ansible-core==2.19.14",
    "work": {"hosts": 5, "files": 43, "directories": 39, "packages": 30, "users": 5, "units": 10, "compose": 7},
    "commands": {"pyinfra": "pyinfra inventories/staging.py deploy.py -y --json"},
}


def pyinfra_json(changed: int = 0, errors: int = 0) -> str:
    totals = {"hosts": 95, "success": changed, "error": errors, "no_change": 95 - changed}
    operations = [{"name": "files", "success": ["app1", "app2"][:changed]}, {"name": "units", "success": []}]
    return json.dumps({"plan": [], "results": {"operations": operations, "totals": totals, "failed_hosts": []}})


def test_changes_are_read_from_both() -> None:
    assert figures.changes(pyinfra_json()) == []
    assert figures.changes(pyinfra_json(changed=2)) == ["files: app1 app2"]
    assert figures.changes(RECAP.format(changed=0, unreachable=0)) == []
    assert figures.changes(RECAP.format(changed=1, unreachable=0)) == ["1 changes"]
    line = "changed: [data1] => (item=/srv/a)"
    assert figures.changes(f"ok: [app1]\n{line}\n{RECAP.format(changed=1, unreachable=0)}") == [line]


@pytest.mark.parametrize("output", [pyinfra_json(errors=1), RECAP.format(changed=0, unreachable=1), "", "{}", "PLAY"])
def test_a_failure_or_no_word_is_no_figure(output: str) -> None:
    with pytest.raises(ValueError):
        figures.changes(output)


def test_spread_is_median_least_and_most() -> None:
    assert figures.spread([5.0, 4.04, 9.96, 6.0, 4.5]) == "5.0 s (4.0 to 10.0)"


def test_memory_is_the_deepest_fall() -> None:
    assert figures.available("MemTotal:  100 kB\nMemAvailable:   20971520 kB\n") == 20480
    assert figures.peak([20000, 15000, 13500, 16000]) == 6500
    assert figures.peak([20000, 21000]) == 0
    with pytest.raises(ValueError):
        figures.available("MemTotal: 100 kB")


def test_the_page_says_what_was_met_and_what_not() -> None:
    page = figures.page(
        {"noop": NOOP, "rehearsal-warm": {**ABOUT, "seconds": 100.4, "peak_mib": 9216, "note": "noisy"}}
    )
    assert "| the whole deploy | 5.0 s (4.0 to 6.0) | 60.0 s (50.0 to 70.0) | 12.0 |" in page
    assert "| files, folders, packages, users, units only | 3.0 s (3.0 to 3.0) | 24.0 s (24.0 to 24.0) | 8.0 |" in page
    assert "95 without change and 0 with; 95 without change and 0 with.\n- The work" in page
    assert "in 15 s or less: met." in page
    assert "The whole deploy: met." in page
    assert "units only: **not met**." in page
    assert "| warm: images cached, hosts down | 120 s | 100 s | 9.0 GiB | **not met** |" in page
    assert "| cold: no images | 480 s | not measured yet: `python -m bench rehearsal-cold` | | |" in page
    assert "rehearsal-warm: measured 2026-11-21 22:00 UTC, commit abc1234, 2 cores, 24 GiB, Linux 6.1" in page
    assert page.endswith("; noisy\n")


def test_what_watching_costs_is_of_all_cores() -> None:
    """7.5 ms more a second are 0.375 % of two cores; 25 ms are too much."""
    parts = {"rest": [0.001, 0.002], "probed": [0.008, 0.010]}
    found = rows.of_watching({"seconds": parts, "cores": 2, "rate": 10.0})
    assert found.good and found.measured == "0.38%: 7.5 ms a second of 2 cores, for 10 requests a second"
    assert not rows.of_watching({"seconds": {**parts, "probed": [0.03]}, "cores": 2, "rate": 10.0}).good


def test_an_empty_page_says_so() -> None:
    assert "Not measured yet: `python -m bench noop`." in figures.page({})


def test_one_figure_leaves_the_others(tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    figures.save("noop", NOOP, results, page)
    figures.save("rehearsal-warm", {**ABOUT, "seconds": 80.0, "peak_mib": 1024}, results, page)
    assert json.loads(results.read_text()).keys() == {"noop", "rehearsal-warm"}
    assert "60.0 s" in page.read_text() and "80 s" in page.read_text()


def test_the_machine_has_no_name() -> None:
    assert figures.machine().keys() == {"cores", "memory", "kernel", "load"}


def test_host_vars_have_each_file_once() -> None:
    file = {"path": "/srv/a/compose.yaml", "content": "x", "mode": "644", "owner": "root", "group": "root"}
    folder = {"path": "/srv/a", "mode": "755", "owner": "root", "group": "root"}
    tree = {"operation": "tree", "arguments": {"name": "a: files", "files": [file], "directories": [folder]}}
    calls = [
        {"operation": "packages", "arguments": {"packages": ["chrony"], "update": True}},
        {
            "operation": "login",
            "arguments": {"user": "deploy", "groups": ["docker"], "shell": "/bin/sh", "keys": []},
        },
        tree,
        tree,
        {"operation": "ready", "arguments": {"running": {"chrony.service": ["/etc/default/chrony"]}, "enabled": ["x"]}},
        {"operation": "ready", "arguments": {"enabled": ["y.service"]}},
        {"operation": "up", "arguments": {"directory": "/srv/a", "services": ["web"], "timeout": 60}},
    ]
    reached = {"ssh_hostname": "127.0.0.1", "ssh_port": 2301, "ssh_user": "admin"}
    reached |= {"ssh_key": "key", "ssh_known_hosts_file": "known"}
    found = noop.host_vars(reached, calls)
    assert found["ansible_port"] == 2301
    assert found["files"] == [file]
    assert found["directories"] == [folder]
    assert found["packages"] == ["chrony"]
    assert found["users"] == [{"user": "deploy", "groups": ["docker"], "shell": "/bin/sh"}]
    assert found["units"] == [{"unit": "chrony.service", "reads": ["/etc/default/chrony"]}]
    assert found["compose"] == [{"directory": "/srv/a", "services": ["web"]}]


class Outputs:
    """Stands in for run(): each command gives its output; commands are kept."""

    def __init__(self, pyinfra: str, ansible: str):
        self.outputs = {"pyinfra": pyinfra, "ansible-playbook": ansible}
        self.asked: list[str] = []

    def __call__(self, command: list[str], env: object = None) -> object:
        self.asked.append(" ".join([Path(command[0]).name, *command[1:]]))
        return type("Done", (), {"stdout": self.outputs[Path(command[0]).name]})


def test_both_take_turns_after_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(pyinfra_json(), RECAP.format(changed=0, unreachable=0))
    monkeypatch.setattr(noop, "run", outputs)
    found = noop.compare("inventories/staging.py", runs=2)
    shown = found["commands"]
    assert outputs.asked == [f"{shown['ansible']} --check", *list(shown.values()) * 3]
    assert [len(seconds) for seconds in found["seconds"].values()] == [2, 2, 2, 2]
    assert [total["success"] for total in found["totals"]] == [0, 0]
    assert shown["pyinfra"] == "pyinfra inventories/staging.py deploy.py -y --json"


def test_nothing_runs_when_ansible_would_change_something(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = Outputs(pyinfra_json(), RECAP.format(changed=1, unreachable=0))
    monkeypatch.setattr(noop, "run", outputs)
    with pytest.raises(BenchError, match="1 changes"):
        noop.compare("inventories/staging.py", runs=2)
    assert len(outputs.asked) == 1 and outputs.asked[0].endswith("--check")


def test_a_run_that_changes_something_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noop, "run", Outputs(pyinfra_json(changed=1), ""))
    with pytest.raises(BenchError, match="by pyinfra; .*\n  files: app1"):
        noop.unchanged(["pyinfra"])


def test_a_command_that_fails_is_told_with_its_last_lines() -> None:
    with pytest.raises(BenchError, match="exit code 3: sh -c .*\nlast words"):
        run(["sh", "-c", "echo last words; exit 3"])
    with pytest.raises(BenchError, match="did not end well: /nowhere/at-all"):
        run(["/nowhere/at-all"])


def test_a_rehearsal_is_timed_from_hosts_that_are_down(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    memory = iter([1000, 400, 700] + [900] * 100)
    monkeypatch.setattr(rehearsal, "_available", lambda: next(memory))
    monkeypatch.setattr(rehearsal, "run", asked.append)
    monkeypatch.setattr(rehearsal.paths, "OWNER", rehearsal.paths.ROOT)
    found = rehearsal.measure("rehearsal-warm")
    assert asked == [["make", "rehearsal-down"], ["make", "rehearsal"]]
    assert found["seconds"] < 5 and found["peak_mib"] == 0  # ended before the first sample


def test_a_second_work_tree_does_not_take_the_firsts_hosts_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rehearsal.paths, "OWNER", tmp_path)
    monkeypatch.setattr(rehearsal, "run", lambda *_: pytest.fail("it was run"))
    with pytest.raises(BenchError, match="run it there"):
        rehearsal.measure("rehearsal-cold")


def test_wrong_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["noops"])
    assert "figures are rehearsal-cold, rehearsal-warm, noop" in capsys.readouterr().err


def test_a_figure_that_cannot_be_had_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise BenchError("exit code 1: pyinfra")

    monkeypatch.setattr(noop, "measure", fails)
    assert command.main(["noop"]) == 1
    assert capsys.readouterr().err == "error  exit code 1: pyinfra\n"
