"""What the host command is given: settings that it can read, and doors through which peers may ask one thing only."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all, staging_hosts

from changeover import fleet
from changeover.files import render
from changeover.hostconfig import config
from facts.peers import Keys, PeerKeys
from hostcmd import site
from operations import host_command, units

Run = Callable[..., Outcome]

# --- its settings


def test_settings_as_a_whole(golden: Callable[[str, str], None]) -> None:
    golden("edge1.tasktracker.hostconfig.json", config(fleet.load(staging_hosts()), "tasktracker", "edge1"))


@pytest.mark.parametrize("system", ["tasktracker", "hello"])
@pytest.mark.parametrize("host", ["edge1", "app1"])
def test_the_host_command_reads_what_the_control_side_writes(system: str, host: str) -> None:
    plan = fleet.load(staging_hosts())
    found = site.parse("/", json.loads(config(plan, system, host)))
    assert (found.system, found.me, found.coordinator, found.gateways) == (system, host, "edge1", ("edge1",))
    assert set(found.services) == set(plan.switched(system))
    assert found.coordinates is (host == "edge1")
    assert found.slots_dir == f"/srv/gateway/slots/{system}", "where the gateway looks for its marks"


def test_hosts_differ_only_in_their_own_name() -> None:
    plan = fleet.load(staging_hosts())
    texts = [json.loads(config(plan, "tasktracker", host)) for host in ("edge1", "app1", "app2", "data1")]
    assert {text.pop("me") for text in texts} == {"edge1", "app1", "app2", "data1"}
    assert all(text == texts[0] for text in texts)
    assert texts[0]["services"]["scheduler"]["hosts"] == ["app1"], "one host runs what must run once"


def test_a_short_time_is_not_none() -> None:
    hosts = good()
    on_all("shop.services.api.drain", "500ms")(hosts)
    on_all("shop.services.api.routes./api", {"upload": "500ms", "timeout": "2s"})(hosts)
    on_all("shop.services.api.stop_grace", "1500ms")(hosts)
    api = json.loads(config(fleet.load(hosts), "shop", "app1"))["services"]["api"]
    assert (api["drain"], api["stop_grace"], api["traffic"], api["singleton"]) == (1, 2, True, False)


# --- keys and doors

ONE, TWO = "@fake/one", "@fake/two"
ADDRESSES = {ONE: "10.0.0.1", TWO: "10.0.0.2"}


@pytest.fixture(autouse=True)
def nothing_asked_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_command, "_keys", {})


def keys(name: str) -> dict[str, Any]:
    return {"/peer_key": [f"public ssh-ed25519 KEY-{name}", f"host ssh-ed25519 HOST-{name}"]}


def files(done: Outcome) -> dict[str, tuple[str, str, list[str]]]:
    """{path: (mode, owner, lines without the header)} of what was sent."""
    (command,) = [c for c in done.commands if c.stdin]
    assert command.stdin
    sent = json.loads(command.stdin)["files"]
    return {
        file["path"]: (
            file["mode"],
            file["owner"],
            [line for line in base64.b64decode(file["content"]).decode().splitlines() if line[:1] != "#"],
        )
        for file in sent
    }


def test_a_peers_key_may_run_one_command_and_nothing_else(run: Run) -> None:
    made = files(run(host_command.peers, keys("one"), keys("two"), addresses=ADDRESSES))
    assert made["/var/lib/changeover/peer/.ssh/authorized_keys"] == (
        "644",
        "root",
        [
            'restrict,command="sudo -n /usr/local/bin/changeover peer" ssh-ed25519 KEY-one changeover',
            'restrict,command="sudo -n /usr/local/bin/changeover peer" ssh-ed25519 KEY-two changeover',
        ],
    )


def test_the_peers_host_keys_are_pinned_to_their_private_addresses(run: Run) -> None:
    made = files(run(host_command.peers, keys("one"), keys("two"), addresses=ADDRESSES))
    assert made["/etc/changeover/known_hosts"] == (
        "644",
        "root",
        ["10.0.0.1 ssh-ed25519 HOST-one", "10.0.0.2 ssh-ed25519 HOST-two"],
    )


def test_sudo_allows_that_one_command_and_is_checked_before_it_is_there(run: Run) -> None:
    done = run(host_command.peers, keys("one"), keys("two"), addresses=ADDRESSES)
    assert files(done)["/etc/sudoers.d/changeover"] == (
        "440",
        "root",
        ["changeover ALL=(root) NOPASSWD: /usr/local/bin/changeover peer"],
    )
    (command,) = [c for c in done.commands if c.stdin]
    check = json.loads(command.stdin or "")["check"]
    assert check == {"root": "/etc/sudoers.d", "command": ["visudo", "-c", "-q", "-f", "{}/changeover"]}


def test_the_folders_are_roots_so_that_the_user_gives_itself_no_key(run: Run) -> None:
    (command,) = [c for c in run(host_command.peers, keys("one"), addresses=ADDRESSES).commands if c.stdin]
    folders = {folder["path"]: (folder["mode"], folder["owner"]) for folder in json.loads(command.stdin)["directories"]}
    home = "/var/lib/changeover/peer"
    assert folders == {home: ("755", "root"), f"{home}/.ssh": ("755", "root")}


def test_a_host_is_asked_for_its_keys_once_by_all_its_peers(run: Run) -> None:
    run(host_command.peers, keys("one"), keys("two"), addresses=ADDRESSES)
    again = run(host_command.peers, keys("new"), keys("two"), addresses=ADDRESSES)
    assert not [command for command in again.asked if "/peer_key" in command.text]


def test_a_host_without_a_key_is_no_line(run: Run) -> None:
    made = files(run(host_command.peers, keys("one"), {"/peer_key": ["public ", "host "]}, addresses=ADDRESSES))
    assert len(made["/var/lib/changeover/peer/.ssh/authorized_keys"][2]) == 1
    assert made["/etc/changeover/known_hosts"][2] == ["10.0.0.1 ssh-ed25519 HOST-one"]


def test_ssh_itself_takes_the_lines_that_are_written(tmp_path: Path) -> None:
    """ssh-keygen reads the files as sshd and ssh do: the option string and the pin are well-formed."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    public = " ".join((tmp_path / "key.pub").read_text().split()[:2])
    lines = render("changeover/authorized_keys.j2", keys=[public], command=host_command.BINARY)
    (tmp_path / "authorized_keys").write_text(lines)
    (tmp_path / "known_hosts").write_text(render("changeover/known_hosts.j2", pins=[f"10.0.0.1 {public}"]))
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(tmp_path / "authorized_keys")], capture_output=True, text=True
    )
    found = subprocess.run(
        ["ssh-keygen", "-F", "10.0.0.1", "-f", str(tmp_path / "known_hosts")], capture_output=True, text=True
    )
    assert "ED25519" in shown.stdout and public in found.stdout


def test_a_key_is_made_once_and_its_private_half_stays_there(run: Run) -> None:
    done = run(host_command.key, {}, path="/etc/changeover/peer_key")
    assert [c.text for c in done.commands] == [
        "rm -f /etc/changeover/peer_key /etc/changeover/peer_key.pub; "
        "ssh-keygen -q -t ed25519 -N '' -C changeover -f /etc/changeover/peer_key"
    ]
    again = run(host_command.key, keys("one"), path="/etc/changeover/peer_key")
    assert not again.changed and again.commands == []


def test_only_public_halves_are_read() -> None:
    command = PeerKeys().command()
    read = ["cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub", "ssh-keygen -y -f /etc/changeover/peer_key "]
    assert all(words in command for words in read), "a public half alone would be no key"
    assert command.count("_key") == 2
    assert PeerKeys().process(["public ssh-ed25519 A", "host "]) == Keys("ssh-ed25519 A", "")


# --- at boot


@pytest.mark.parametrize("state, commands", [("enabled", []), ("", ["systemctl enable changeover-recover.service"])])
def test_recovery_is_enabled_and_not_started(run: Run, state: str, commands: list[str]) -> None:
    said = {"systemctl show": [f"UnitFileState={state}"]}
    done = run(units.ready, said, enabled=["changeover-recover.service"])
    assert [command.text for command in done.commands] == commands


def test_the_gateway_is_put_right_before_the_engine_and_the_rest_after_it() -> None:
    gateway, recover = (render(t, command="/x/changeover").splitlines() for t in host_command.AT_BOOT.values())
    assert "Before=docker.service" in gateway and "ExecStart=/x/changeover recover --all --gateway" in gateway
    assert (
        "After=network-online.target docker.service" in recover and "ExecStart=/x/changeover recover --all" in recover
    )
    for text in (gateway, recover):
        assert "WantedBy=multi-user.target" in text and any(line.startswith("TimeoutStartSec=") for line in text)


def test_the_command_is_one_file_that_runs(tmp_path: Path) -> None:
    program = tmp_path / "changeover"
    program.write_bytes(host_command.archive())
    program.chmod(stat.S_IRWXU)
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout.startswith("changeover ")


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("", True),
        ('{"schema": 1, "generation": 4}', True),
        ('{"schema": 1, "generation": 5}', False),
        ('{"schema": 1, "generation": 6}', False),
        ("{", True),
    ],
)
def test_a_host_that_is_new_or_was_away_asks_what_is_live(run, text, asks):
    done = run(host_command.told, {"state.json": [text] if text else []}, system="shop", generation=5)
    assert [command.text for command in done.commands] == ["/usr/local/bin/changeover recover shop"] * asks


def test_nobody_asks_while_nothing_is_live(run):
    done = run(host_command.told, {"state.json": []}, system="shop", generation=0)
    assert done.commands == [] and not done.changed
