"""Facts: their shell lines run on this machine, their parsers on what hosts really print."""

from __future__ import annotations

import grp
import hashlib
import http.server
import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facts import files, gateway, host, postgres, secure, units
from facts.compose import ComposePlan, steady


def ask(fact: Any, **arguments: Any) -> Any:
    """What a fact says of this machine."""
    command = fact.command(**arguments)
    text = command.get_raw_value() if hasattr(command, "get_raw_value") else command
    run = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=20)
    assert run.returncode == 0, f"a fact never fails: {run.stderr}"
    lines = run.stdout.splitlines()
    return fact.process(lines) if lines else fact.default()


# --- files


def test_files_and_folders_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a b.conf").write_text("x\n")
    (tmp_path / "a b.conf").chmod(0o640)
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("a b.conf")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("folder")
    names = ["a b.conf", "folder", "link", "linked", "dangling", "none"]
    found = ask(files.FileStates(), paths=[str(tmp_path / name) for name in names])
    me, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    owner = (f"{me}:{os.getuid()}", f"{group}:{os.getgid()}")
    digest = hashlib.sha256(b"x\n").hexdigest()
    assert found == {
        str(tmp_path / "a b.conf"): files.State(digest, "640", *owner),
        str(tmp_path / "folder"): files.State("", "700", *owner),
        str(tmp_path / "link"): files.State(digest, "777", *owner),  # a link is never as good as the file
        str(tmp_path / "linked"): files.State("", "700", *owner),  # to a folder it is
    }


def test_a_file_that_goes_while_we_look_is_absent() -> None:
    assert files.FileStates().process(["0123 "]) == {}


@pytest.mark.parametrize("wanted, same", [("root", True), ("0", True), ("admin", False), ("1000", False), ("", False)])
def test_an_owner_is_known_by_name_and_number(wanted: str, same: bool) -> None:
    assert files.differs(wanted, "root:0") is not same


# --- compose, as 2.26 prints it


def test_compose_lines_that_say_nothing_is_to_do() -> None:
    plan = ComposePlan().process(
        [
            " DRY-RUN MODE -  Container shop-api-1  Running ",
            " DRY-RUN MODE -  Container shop-worker-1  Running ",
            'time="2026-11-21T22:00:00Z" level=warning msg="a warning"',
            "Health shop-api-1 healthy",
            "Health shop-worker-1 ",
        ]
    )
    assert plan == {"Container shop-api-1": ["Running", "healthy"], "Container shop-worker-1": ["Running"]}
    assert steady(plan, 2) and not steady(plan, 3)


@pytest.mark.parametrize(
    "lines",
    [
        [" DRY-RUN MODE -  Container shop-api-1  Recreate", " DRY-RUN MODE -  Container shop-api-1  Recreated"],
        [" DRY-RUN MODE -  Container shop-api-1  Created", " DRY-RUN MODE -  Container shop-api-1  Starting"],
        [" DRY-RUN MODE -  Container shop-api-1  Running", " DRY-RUN MODE -  Network shop_default  Creating"],
        [" DRY-RUN MODE -  Container shop-api-1  Running", ' DRY-RUN MODE -  Volume "shop_data"  Created'],
        [" DRY-RUN MODE -  api Pulling", " DRY-RUN MODE -  Container shop-api-1  Creating"],
        [" DRY-RUN MODE -  Container shop-api-1  Running", "Health shop-api-1 unhealthy"],
        [" DRY-RUN MODE -  Container shop-api-1  Running", "Health shop-api-1 starting"],
        ["Health shop-api-1 healthy"],
        ["no such service: api", "no such service: api"],
        ["open /srv/shop/compose.yaml: no such file or directory"],
        ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"],
        [],
    ],
)
def test_compose_lines_that_say_something_is_to_do(lines: list[str]) -> None:
    assert not steady(ComposePlan().process(lines), 1)


def test_a_newer_compose_without_the_prefix_is_understood() -> None:
    assert steady(ComposePlan().process([" Container shop-api-1  Running"]), 1)


def test_without_an_engine_nothing_is_steady() -> None:
    assert not steady(ComposePlan().default(), 0)


# --- the host


def test_this_machine_is_one() -> None:
    machine = ask(host.MachineFacts())
    assert machine is not None and machine.python
    assert machine.memory > 100 and machine.disk > 0 and machine.cpus >= 1


def test_a_machine_as_debian_says_it() -> None:
    lines = [
        "os debian", "version 13", "memory 3919", "disk 51234", "cpus 2",
        "addresses 172.30.99.11 10.200.0.1 fd00::1", "container 1", "python 1",
    ]  # fmt: skip
    expected = host.Machine("debian", "13", 3919, 51234, 2, ("172.30.99.11", "10.200.0.1", "fd00::1"), True, True)
    assert host.MachineFacts().process(lines) == expected
    assert host.MachineFacts().process(lines[2:]) is None
    assert host.MachineFacts().process(["os debian", "version 13", "memory "]) is None


def test_a_state_file_that_is_empty_is_not_one_that_is_not_there(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(host, "STATE_DIR", str(tmp_path))
    fact = host.SystemState()
    assert ask(fact, system="shop") == ""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/state.json").write_text("")
    assert ask(fact, system="shop") == "empty or unreadable"
    (tmp_path / "shop/state.json").write_text('{\n "schema": 1\n}\n')
    assert ask(fact, system="shop") == '{\n "schema": 1\n}'


def test_links_and_names(tmp_path: Path) -> None:
    (tmp_path / "one.blue").touch()
    (tmp_path / "live").symlink_to("abc")
    assert ask(host.Link(), path=str(tmp_path / "live")) == "abc"
    assert ask(host.Link(), path=str(tmp_path / "one.blue")) == ""
    assert ask(host.Names(), path=str(tmp_path)) == ["live", "one.blue"]
    assert ask(host.Names(), path=str(tmp_path / "none")) == []


# --- units


def test_unit_lines() -> None:
    fact = units.UnitStates()
    fact.command(units={"a.service": ["/etc/a", "/etc/b c"], "b.timer": [], "c.service": ["/etc/a"]})
    started = "ActiveEnterTimestamp=Sun 2026-11-22 12:17:14.101542 UTC"
    first = ["Id=x.service", "ActiveState=active", "UnitFileState=enabled", started, "NeedDaemonReload=no", ""]
    second = ["Id=b.timer", "ActiveState=failed", "UnitFileState=static", "ActiveEnterTimestamp="]
    files = ["file 1795349834.101541999 /etc/a", "file 1795349834.101543000 /etc/b c"]
    found = fact.process([*first, *second, "NeedDaemonReload=yes", *files])
    assert found == {
        "a.service": units.Unit(True, True, ("/etc/b c",)),
        "b.timer": units.Unit(False, True, (), True),
    }, "of an alias too, whose Id is another's; of a third nothing was said"


@pytest.mark.parametrize("changed, stale", [(100, ()), (300, ("FILE",))])
def test_a_file_newer_than_the_units_start_is_stale(tmp_path: Path, changed: int, stale: tuple[str, ...]) -> None:
    file = tmp_path / "daemon.json"
    file.touch()
    os.utime(file, ns=(changed * 10**9, changed * 10**9 + 1))
    systemctl = tmp_path / "systemctl"
    since = "ActiveEnterTimestamp=Thu 1970-01-01 00:03:20.000000 UTC"
    systemctl.write_text(f"#!/bin/sh\nprintf '%s\\n' ActiveState=active UnitFileState=enabled '{since}'\n")
    systemctl.chmod(0o755)
    fact = units.UnitStates()
    command = fact.command(units={"docker.service": [str(file), str(tmp_path / "none")]})
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=20)
    assert run.returncode == 0, run.stderr
    found = fact.process(run.stdout.splitlines())
    assert found == {"docker.service": units.Unit(True, True, tuple(str(file) for _ in stale))}


def test_kernel_settings_are_read_as_they_are(tmp_path: Path) -> None:
    fact = secure.KernelSettings()
    command = fact.command(keys=["net.ipv4.ip_forward", "net.ipv4.ip_local_port_range", "no.such.key"])
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20)
    found = fact.process(run.stdout.splitlines())
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert found["net.ipv4.ip_local_port_range"] == " ".join(ports) and "no.such.key" not in found
    assert found["net.ipv4.ip_forward"] in ("0", "1")


# --- the database


def test_database_lines() -> None:
    lines = ["login ok", "superuser ok", "owner shop", "extension plpgsql", "extension vector", "version 0001"]
    found = postgres.DatabaseState().process([*lines, "role postgres", "role shop_3aaf", "ours shop_3aaf"])
    roles = ("postgres", "shop_3aaf")
    assert found == postgres.Database(True, True, "shop", ("plpgsql", "vector"), "0001", roles, ("shop_3aaf",))
    said = ["login psql: error: connection to server failed: FATAL:  sorry, too many clients already", "login   hint"]
    found = postgres.DatabaseState().process(said)
    assert not found.login and found.why.endswith("FATAL:  sorry, too many clients already hint")
    assert postgres.DatabaseState().process(["owner postgres"]) == postgres.Database(owner="postgres")
    assert postgres.DatabaseState().process(["version 0003", "version 0002"]).version == "0002,0003"


def test_the_databases_question_is_one_word_to_the_hosts_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The passwords are in a file of mode 0600 for as long as psql reads it, and in no variable."""
    monkeypatch.setattr(postgres, "FOLDER", str(tmp_path))
    docker = tmp_path / "docker"
    psql = tmp_path / "psql"
    psql.write_text(
        '#!/bin/sh\necho ok; echo "$5 $(stat -c %a "$PGPASSFILE" 2>&1)"; cat "$PGPASSFILE"; env | grep -c super\n'
    )
    docker.write_text('#!/bin/sh\nshift 3\nexec "$@"\n')  # exec -i CONTAINER sh -c ..
    for tool in (docker, psql):
        tool.chmod(0o755)
    command = postgres.DatabaseState().command(container="shop-db-1", database="shop", role="shop_3aaf")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    given = postgres.passfile({"shop_3aaf": " p\\w: ", "postgres": "$super"})
    run = subprocess.run(
        ["sh", "-c", command], input=given, capture_output=True, text=True, env=environment, timeout=20
    )
    kept = ["*:*:*:shop_3aaf: p\\\\w\\: ", "*:*:*:postgres:$super"]
    asked = run.stdout.splitlines()
    assert asked[:5] == [f"login {line}" for line in ("ok", "shop_3aaf 600", *kept, "0")]
    assert asked[5:10] == [f"superuser {line}" for line in ("ok", "postgres 600", *kept, "0")]
    assert "super" not in "".join(asked[10:]) and not list(tmp_path.glob(".pass*"))


# --- what the gateway answers


@pytest.fixture
def site() -> Iterator[int]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200 if (self.headers["Host"], self.path) == ("shop.test", "/api/") else 404)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_each_url_is_asked_here_under_its_own_name(site: int) -> None:
    good, wrong, closed = f"http://shop.test:{site}/api/", f"http://shop.test:{site}/x", "http://shop.test:1/api/"
    found = ask(gateway.Answers(), urls=[good, wrong, closed])
    assert found[good] == "200" and found[wrong] == "404"
    assert "ConnectionRefused" in found[closed] and " " not in found[closed]
    assert gateway.Answers().default() == {}


@pytest.mark.parametrize(
    "text, foreign", [("table inet other {\n}\n", True), ("x\ntable inet changeover {\n", False), (None, False)]
)
def test_a_file_with_our_table_is_no_other_firewall(tmp_path: Path, text: str | None, foreign: bool) -> None:
    """Also where the run that wrote it was killed before it could write down that it did."""
    file = tmp_path / "nftables.conf"
    if text is not None:
        file.write_text(text)
    command = secure.OtherFirewalls().command().replace("/etc/nftables.conf", str(file))
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20)
    assert run.returncode == 0 and (str(file) in run.stdout.splitlines()) == foreign


def test_rules_of_ours_are_read_whole_and_others_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "nftables.conf"
    file.write_text("# x\ntable inet changeover {\n\tchain open {\n\t}\n}\n")
    assert ask(secure.RulesFile(), path=str(file), table="inet changeover") == file.read_text()
    assert ask(secure.RulesFile(), path=str(file), table="inet other") == ""
