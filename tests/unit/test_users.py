"""The accounts on a host: one cheap question, and pyinfra's own operation only where something is not as wanted."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Outcome

from facts.users import AccountOf
from operations import users

Run = Callable[..., Outcome]

ADA = ["passwd ada:x:1000:1000::/home/ada:/bin/bash", "groups ada docker", "home", "key ssh-ed25519 A"]
LOGIN = {"user": "ada", "shell": "/bin/bash", "groups": ["docker"], "keys": ["ssh-ed25519 A"]}


def test_a_user_who_is_as_wanted_is_asked_for_once_and_left_alone(run: Run) -> None:
    done = run(users.login, {"getent": ADA}, **LOGIN)
    assert not done.changed and len({command.text for command in done.asked}) == 1


@pytest.mark.parametrize("line", [0, 1, 2, 3])
def test_a_user_who_is_not_as_wanted_is_mended_by_the_library(run: Run, line: int) -> None:
    bad = ADA[0].replace("bash", "sh"), "groups ada", "no home", "key ssh-ed25519 B"
    done = run(users.login, {"getent": [*ADA[:line], bad[line], *ADA[line + 1 :]]}, **LOGIN)
    assert any("useradd" in command.text for command in done.commands), "the library finds nobody on a fake host"


def test_a_user_whose_home_is_somebody_elses_keeps_it_so(run: Run) -> None:
    words = {"user": "peer", "shell": "/bin/sh", "home": "/var/lib/peer", "system": True}
    done = run(users.login, {"getent": ["passwd peer:x:999:999::/var/lib/peer:/bin/sh", "groups peer"]}, **words)
    assert not done.changed
    elsewhere = {"getent": ["passwd peer:x:999:999::/home/peer:/bin/sh"], "uname": ["Linux"], "useradd": ["useradd"]}
    done = run(users.login, elsewhere, **words)
    assert any("-d /var/lib/peer" in command.text for command in done.commands)


def test_an_account_as_a_host_says_it() -> None:
    run = subprocess.run(["sh", "-c", AccountOf().command(user="root")], capture_output=True, text=True, timeout=20)
    found = AccountOf().process(run.stdout.splitlines())
    assert found and found.home and found.folder == "/root" and "root" in found.groups
    run = subprocess.run(["sh", "-c", AccountOf().command(user="no-one")], capture_output=True, text=True, timeout=20)
    assert (run.returncode, AccountOf().process(run.stdout.splitlines())) == (0, None)


@pytest.mark.parametrize("mode, keys", [(0o600, frozenset({"ssh-ed25519 A b", "ssh-rsa C"})), (0o644, frozenset())])
def test_keys_that_others_may_write_do_not_count(tmp_path: Path, mode: int, keys: frozenset[str]) -> None:
    ssh = tmp_path / ".ssh"
    ssh.mkdir(mode=0o700)
    (ssh / "authorized_keys").write_text("ssh-ed25519 A b\nssh-rsa C\n")
    (ssh / "authorized_keys").chmod(mode)
    getent = tmp_path / "getent"
    getent.write_text(f"#!/bin/sh\necho root:x:0:0::{tmp_path}:/bin/bash\n")
    getent.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["sh", "-c", AccountOf().command(user="root")]
    run = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=20)
    found = AccountOf().process(run.stdout.splitlines())
    assert found and found.keys == keys
