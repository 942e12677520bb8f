"""The files that keep a host safe say what the settings say, and never less than the host had."""

from __future__ import annotations

from typing import Any

import pytest

from changeover import hardening
from changeover.settings import Fleet


def fleet(**values: Any) -> Fleet:
    return Fleet.model_validate({"registry": "registry.test", **values})


def text(file: Any) -> str:
    return str(file.content)


def test_sshd_takes_keys_only_and_the_teams_values_win() -> None:
    made = text(hardening.sshd(fleet(sshd={"settings": {"X11Forwarding": "yes", "MaxSessions": "50"}}), {}))
    rules = made.splitlines()
    assert {"PasswordAuthentication no", "X11Forwarding yes", "MaxSessions 50"} <= set(rules)
    assert "AllowTcpForwarding local" in rules, "a deploy's integration tests go through it"


@pytest.mark.parametrize(
    "before, after",
    [
        ("yes", "prohibit-password"),
        ("without-password", "prohibit-password"),
        ("no", "no"),
        ("forced-commands-only", "forced-commands-only"),
    ],
)
def test_a_host_that_lets_no_root_in_stays_so(before: str, after: str) -> None:
    assert hardening.sshd_values(fleet(), {"permitrootlogin": [before]})["PermitRootLogin"] == after


RIGHT = {key.lower(): [value] for key, value in hardening.SSH.items()} | {"permitrootlogin": ["without-password"]}


def test_a_value_that_sshd_reads_otherwise_is_found() -> None:
    assert hardening.wrong_sshd(fleet(), RIGHT, RIGHT) == []
    wrong = RIGHT | {"passwordauthentication": ["yes"]}
    assert hardening.wrong_sshd(fleet(), wrong, RIGHT) == ["PasswordAuthentication"]
    assert hardening.wrong_sshd(fleet(), {}, {}) == [], "what sshd does not know it does not do"


def test_sshd_is_compared_in_its_own_words() -> None:
    made = fleet(sshd={"settings": {"AllowUsers": "changeover admin", "LoginGraceTime": "2m", "MaxSessions": "5"}})
    said = RIGHT | {"allowusers": ["changeover", "admin"], "logingracetime": ["120"], "maxsessions": ["5"]}
    meant = said | {"allowusers": ["changeover", "admin", "changeover", "admin"]}  # read twice, by the Include too
    assert hardening.wrong_sshd(made, said, meant) == []
    before = {key: value for key, value in said.items() if key != "allowusers"} | {"maxsessions": ["10"]}
    assert hardening.wrong_sshd(made, before, meant) == ["AllowUsers", "MaxSessions"], "no Include, or a line above it"


def test_a_container_sets_nothing_of_its_machine() -> None:
    assert all(key.startswith("net.ipv") for key in hardening.sysctl_values(fleet(), container=True))
    wanted = fleet(sysctl={"vm.overcommit_memory": "1", "net.ipv4.tcp_syncookies": "2"}, swap={"size": "1G"})
    found = hardening.sysctl_values(wanted, container=True)
    assert found["net.ipv4.tcp_syncookies"] == "2" and "vm.overcommit_memory" not in found
    whole = hardening.sysctl_values(wanted, container=False)
    assert whole["vm.overcommit_memory"] == "1" and whole["vm.swappiness"] == "10"
    assert "net.ipv4.ip_forward" not in whole, "the engine needs it"


def test_updates_leave_what_serves_and_what_the_team_names() -> None:
    updates, restarts = hardening.updates(fleet(updates={"keep": ["libstdc++6"]}), "debian")
    assert '  "docker";' in text(updates) and r'  "libstdc\+\+6";' in text(updates)
    assert "Debian-Security" in text(updates) and 'Automatic-Reboot "false"' in text(updates)
    assert r"qr(^libstdc\+\+6)" in text(restarts)
    assert "${distro_id}:${distro_codename}-security" in text(hardening.updates(fleet(), "ubuntu")[0])
    off = text(hardening.updates(fleet(updates={"automatic": False}), "debian")[0])
    assert 'Periodic::Unattended-Upgrade "0"' in off


def test_swap_is_a_unit_and_made_beside_its_place() -> None:
    made = fleet(swap={"size": "1536M"})
    assert [f.path for f in hardening.files(made, container=False)][-1] == "/etc/systemd/system/swapfile.swap"
    assert len(hardening.files(made, container=True)) == 2
    *_, fill, place = hardening.swap_commands("1536M")
    assert "count=1536 " in fill and place.endswith("mv /swapfile.new /swapfile")
    assert "count=1 " in hardening.swap_commands("10K")[1]
