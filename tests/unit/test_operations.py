"""Operations ask first, change only what is wrong, and keep secrets out of every command."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fakes import Outcome

from changeover.files import Directory, File
from operations import compose, flow, gateway, units
from operations.files import tree

Run = Callable[..., Outcome]

# --- files.tree

TOKEN = File("/srv/x/TOKEN", "hunter2", mode="400", owner="10001", group="10001")
CONF = File("/srv/x/a.conf", "a\n")
FOLDER = Directory("/srv/x", "755")
AS_IT_SHOULD_BE = [
    "- 755 root:0 root:0 /srv/x",
    f"{CONF.digest()} 644 root:0 root:0 /srv/x/a.conf",
    f"{TOKEN.digest()} 400 UNKNOWN:10001 UNKNOWN:10001 /srv/x/TOKEN",
]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def payload(done: Outcome) -> dict[str, Any]:
    (command,) = done.commands
    assert command.stdin is not None
    return json.loads(command.stdin)


def test_tree_is_silent_when_all_is_there(run: Run) -> None:
    done = run(tree, {"sha256sum": AS_IT_SHOULD_BE}, files=[CONF, TOKEN], directories=[FOLDER])
    assert not done.changed and done.commands == []
    assert len(done.asked) == 1, "one question for the whole tree"


def test_tree_sends_only_what_differs_and_only_on_stdin(run: Run) -> None:
    there = [*AS_IT_SHOULD_BE[:2], "0123 400 UNKNOWN:10001 UNKNOWN:10001 /srv/x/TOKEN"]
    done = run(tree, {"sha256sum": there}, files=[CONF, TOKEN], directories=[FOLDER])
    assert done.changed
    token = {"path": "/srv/x/TOKEN", "content": b64(b"hunter2"), "mode": "400", "owner": "10001", "group": "10001"}
    assert payload(done) == {"directories": [], "files": [token], "check": None}
    (command,) = done.commands
    assert "hunter2" not in command.text and b64(b"hunter2") not in command.text
    assert command.text.startswith("python3 -c ") and "import grp" in command.text
    assert "import grp" not in command.logged


@pytest.mark.parametrize(
    "line",
    [
        f"{CONF.digest()} 600 root:0 root:0 /srv/x/a.conf",
        f"{CONF.digest()} 644 admin:1000 root:0 /srv/x/a.conf",
        f"{CONF.digest()} 644 root:0 adm:4 /srv/x/a.conf",
        f"{CONF.digest()} 777 root:0 root:0 /srv/x/a.conf",
        "",
    ],
    ids=["mode", "owner", "group", "a link", "absent"],
)
def test_tree_mends_what_is_not_as_it_should_be(run: Run, line: str) -> None:
    done = run(tree, {"sha256sum": [line] if line else []}, files=[CONF])
    assert [entry["path"] for entry in payload(done)["files"]] == ["/srv/x/a.conf"]


def test_tree_gives_the_daemons_check_only_with_files(run: Run) -> None:
    check = {"check_root": "/etc/x", "check_command": ["xd", "-t", "{}"]}
    done = run(tree, {}, files=[CONF], directories=[FOLDER], **check)
    assert payload(done)["check"] == {"root": "/etc/x", "command": ["xd", "-t", "{}"]}
    assert [entry["path"] for entry in payload(done)["directories"]] == ["/srv/x"]
    only_folder = run(tree, {"sha256sum": AS_IT_SHOULD_BE[1:]}, files=[CONF], directories=[FOLDER], **check)
    assert payload(only_folder)["check"] is None


def test_tree_may_be_decided_when_it_runs(run: Run) -> None:
    assert payload(run(tree, {}, files=lambda: [CONF]))["files"][0]["content"] == b64(b"a\n")


def test_tree_sends_bytes_as_they_are(run: Run) -> None:
    program = File("/usr/local/bin/x", b"#!\x00\xff\r\n", mode="755")
    assert payload(run(tree, {}, files=[program]))["files"][0]["content"] == b64(b"#!\x00\xff\r\n")


# --- compose.up

UP = {"directory": "/srv/x", "services": ["api-blue", "worker"], "timeout": 60}
RUNNING = [" DRY-RUN MODE -  Container x-api-blue-1  Running", " DRY-RUN MODE -  Container x-worker-1  Running"]
HEALTHY = ["Health x-api-blue-1 healthy", "Health x-worker-1 healthy"]


def test_up_is_silent_when_compose_would_do_nothing(run: Run) -> None:
    done = run(compose.up, {"--dry-run": RUNNING + HEALTHY}, **UP)
    assert not done.changed and done.commands == []


def test_up_has_nothing_to_do_without_services(run: Run) -> None:
    done = run(compose.up, {}, **UP | {"services": []})
    assert (done.changed, done.asked, done.commands) == (False, [], [])


DRIFT = {
    "changed": [RUNNING[0].replace("Running", "Recreate"), RUNNING[1], *HEALTHY],
    "stopped": [RUNNING[0].replace("Running", "Starting"), RUNNING[1]],
    "one is missing": [RUNNING[0], HEALTHY[0]],
    "unhealthy": [*RUNNING, HEALTHY[0], "Health x-worker-1 unhealthy"],
    "still starting": [*RUNNING, HEALTHY[0], "Health x-worker-1 starting"],
    "network is new": [" DRY-RUN MODE -  Network x_default  Creating", *RUNNING],
    "no answer": [],
    "no file": ["open /srv/x/compose.yaml: no such file or directory"],
}


@pytest.mark.parametrize("name", DRIFT)
def test_up_starts_and_waits_when_something_differs(run: Run, name: str) -> None:
    done = run(compose.up, {"--dry-run": DRIFT[name]}, **UP)
    (command,) = done.commands
    base = "docker compose --project-directory /srv/x -f /srv/x/compose.yaml"
    assert command.text.startswith(f"{base} up -d --no-deps --wait --wait-timeout 60 api-blue worker || {{ code=$?; ")
    assert f"{base} logs --no-color --tail 20 api-blue worker >&2;" in command.text
    assert f"$({base} config --images api-blue worker " in command.text and command.text.endswith("exit $code; }")
    assert "--format 'table {{.Service}}\\t{{.Image}}\\t{{.Status}}'" in command.text


def test_up_that_fails_fails_the_host_with_what_compose_said(run: Run) -> None:
    says = {"success": False, "stderr": ["container x-worker-1 is unhealthy", "x-worker-1  | no such table"]}
    done = run(compose.up, {"--dry-run": [], "--wait-timeout": says}, **UP)
    assert done.failed and not done.changed
    assert "x-worker-1  | no such table" in done.lines


# --- units

UNIT = {"running": {"docker.service": ["/etc/docker/daemon.json"]}}


def shown(*said: str) -> list[str]:
    """What a host prints of a unit that is so."""
    words = ["ActiveState=" + ("active" if "active" in said else "inactive"), "ActiveEnterTimestamp="]
    if "active" in said:
        words[-1] += "Thu 1970-01-01 00:03:20.000000 UTC"
    words.append("UnitFileState=" + ("enabled" if "enabled" in said else "disabled"))
    words.append("NeedDaemonReload=" + ("yes" if "unread" in said else "no"))
    return ["Id=docker.service", *words, *("file 300.000000000 " + w[6:] for w in said if w.startswith("stale "))]


@pytest.mark.parametrize(
    "state, commands",
    [
        (["active", "enabled"], []),
        (["active"], ["systemctl enable docker.service"]),
        (["enabled"], ["systemctl start docker.service"]),
        ([], ["systemctl enable docker.service", "systemctl start docker.service"]),
        (["active", "enabled", "stale /etc/docker/daemon.json"], ["systemctl restart docker.service"]),
        (["enabled", "stale /etc/docker/daemon.json"], ["systemctl start docker.service"]),
    ],
)
def test_unit_is_enabled_started_or_restarted(run: Run, state: list[str], commands: list[str]) -> None:
    done = run(units.ready, {"systemctl show": shown(*state)}, **UNIT)
    assert [command.text for command in done.commands] == commands
    assert done.changed is bool(commands)


@pytest.mark.parametrize(
    "state, commands",
    [
        (["enabled"], []),
        ([], ["systemctl enable x.service"]),
        (["enabled", "unread"], ["systemctl daemon-reload"]),
        (["unread"], ["systemctl daemon-reload", "systemctl enable x.service"]),
    ],
)
def test_a_unit_of_the_boot_is_enabled_and_read(run: Run, state: list[str], commands: list[str]) -> None:
    done = run(units.ready, {"systemctl show": shown(*state)}, enabled=["x.service"])
    assert [command.text for command in done.commands] == commands


def test_many_units_are_asked_for_at_once_and_each_is_mended(run: Run) -> None:
    said = [*shown("active", "enabled"), *shown("enabled"), *shown()]
    done = run(units.ready, {"systemctl show": said}, running={"a.service": [], "b.timer": []}, enabled=["c.service"])
    assert [command.text for command in done.commands] == ["systemctl start b.timer", "systemctl enable c.service"]
    assert len({command.text for command in done.asked}) == 1


def test_a_host_that_says_nothing_of_its_units_has_none(run: Run) -> None:
    done = run(units.ready, {}, running={"a.service": []})
    assert [command.text for command in done.commands] == ["systemctl enable a.service", "systemctl start a.service"]


# --- gateway


@pytest.mark.parametrize("mark, reloads", [("abc", False), ("old", True), ("", True)])
def test_nginx_is_reloaded_until_it_has_loaded_what_lies_there(run: Run, mark: str, reloads: bool) -> None:
    done = run(gateway.loaded, {"readlink": [mark] if mark else []}, directory="/srv/gateway", digest="abc")
    assert done.changed is reloads
    if reloads:
        (command,) = done.commands
        pattern = r"docker compose .* exec -T nginx nginx -c \S+/nginx.conf -s reload && ln -sfn abc .*loaded"
        assert re.match(pattern, command.text)


# --- flow


def test_require_fails_the_host_with_its_lines(run: Run) -> None:
    lines = ["app1: has no python3; run: apt-get install -y python3"]
    done = run(flow.require, {}, problems=lines, fact="fit")
    assert done.failed
    assert flow.FAILURES["@fake/one"] == lines


def test_the_next_command_names_the_runs_own_inventory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "INVENTORY", ["inventories/prod.py"])
    monkeypatch.setattr(flow, "NOTES", [])
    run(flow.require, {}, problems=["run: pyinfra INVENTORY deploy.py -y"], fact="fit")
    assert flow.FAILURES["@fake/one"] == ["run: pyinfra inventories/prod.py deploy.py -y"]
    flow.note("still open; pyinfra INVENTORY phases/secure.py -y")
    assert flow.NOTES == ["still open; pyinfra inventories/prod.py phases/secure.py -y"]


def test_require_says_nothing_when_there_are_no_problems(run: Run) -> None:
    done = run(flow.require, {}, problems=[], fact="fit")
    assert not done.failed and not done.changed and done.commands == []


def test_a_barrier_changes_nothing_and_asks_nothing(run: Run) -> None:
    done = run(flow.barrier, {})
    assert not done.failed and not done.changed and done.commands == done.asked == []
