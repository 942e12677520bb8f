"""The check of all settings before anything connects: one line for each mistake, and nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from plans import Hosts, good, on_all
from test_settings import BAD, change_of

from operations import run as guards


class Host:
    """A host as pyinfra hands it over."""

    def __init__(self, name: str, groups: list[str], data: dict[str, Any]):
        self.name, self.groups = name, [*groups, "all"]
        self.data = SimpleNamespace(dict=lambda: data)


def refused(capsys: pytest.CaptureFixture[str], change: Callable[[Hosts], None], secrets: Path) -> list[str]:
    """What the guard says about a plan with one thing wrong; it must end the run with exit code 1."""
    hosts = good()
    on_all("fleet.secrets_file", str(secrets))(hosts)
    change(hosts)
    with pytest.raises(SystemExit) as ended:
        guards._check([Host(*host) for host in hosts], None)
    assert ended.value.code == 1
    return capsys.readouterr().err.splitlines()


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guards, "_plan", None)
    monkeypatch.setattr(guards, "_secrets", None)
    file = tmp_path / "secrets.env"
    file.write_text("SHOP_DB_PASSWORD=x\nPOSTGRES_PASSWORD=y\n")
    file.chmod(0o600)
    return file


ONE = "1 error; nothing was touched"


def test_a_good_plan_is_kept_for_the_run(secrets: Path) -> None:
    hosts = good()
    on_all("fleet.secrets_file", str(secrets))(hosts)
    guards._check([Host(*host) for host in hosts], None)
    assert list(guards.plan().systems) == ["shop", "hello"]
    assert guards.plan().group("all") == [], "pyinfra's own group is no group of ours"
    assert guards.secrets().get("shop", "SHOP_DB_PASSWORD") == "x"


@pytest.mark.parametrize("row", BAD)
def test_every_bad_setting_ends_the_run_before_it_connects(
    capsys: pytest.CaptureFixture[str], secrets: Path, row: dict[str, Any]
) -> None:
    assert refused(capsys, change_of(row), secrets) == [f"error  {row['says']}", ONE]


def test_a_number_for_a_release(capsys: pytest.CaptureFixture[str], secrets: Path) -> None:
    (line, last) = refused(capsys, on_all("release", 1.1), secrets)
    assert line.startswith("error  the command line  --data release: is read as the number 1.1 (so 1.10 becomes 1.1)")
    assert last == ONE


def test_secrets_that_others_can_read(capsys: pytest.CaptureFixture[str], secrets: Path) -> None:
    secrets.chmod(0o644)
    line = f"error  {secrets}  is readable by others (mode 0644); run: chmod 600 {secrets}"
    assert refused(capsys, lambda hosts: None, secrets) == [line, ONE]


def test_a_password_of_two_lines(
    capsys: pytest.CaptureFixture[str], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB_PASSWORD", "one\ntwo")
    line = "error  secret SHOP_DB_PASSWORD (system shop) holds a line break; the password of a database is one line"
    assert refused(capsys, lambda hosts: None, secrets) == [line, ONE]


def test_a_certificate_that_is_not_here(capsys: pytest.CaptureFixture[str], secrets: Path) -> None:
    tls = on_all("shop.tls", {"certificate": str(secrets), "key": "nowhere.key"})
    line = "error  shop.tls.key: no file nowhere.key on this machine"
    assert refused(capsys, tls, secrets) == [line, ONE]


def test_a_private_authority_that_is_not_here(capsys: pytest.CaptureFixture[str], secrets: Path) -> None:
    acme = on_all("fleet.gateway", {"acme": {"email": "ops@example.com", "ca": "nowhere.pem"}})
    line = "error  fleet.gateway.acme.ca: no file nowhere.pem on this machine"
    assert refused(capsys, acme, secrets) == [line, ONE]


@pytest.mark.parametrize("hosts, limit", [([], None), ([Host("a", [], {})], [])])
def test_no_hosts(capsys: pytest.CaptureFixture[str], hosts: list[Host], limit: list[Host] | None) -> None:
    with pytest.raises(SystemExit) as ended:
        guards._check(hosts, limit)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error  no hosts selected; check --limit and the inventory file\n"


@pytest.mark.parametrize("option", ["no_wait", "serial"])
def test_options_that_hide_failures(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as ended:
        guards._refuse({"inventory": "@local", option: True})
    assert ended.value.code == 1
    assert f"error  --{option.replace('_', '-')} " in capsys.readouterr().err
    guards._refuse({"inventory": "@local", option: False})


@pytest.mark.parametrize("option, value", [("limit", ("app1",)), ("exclude", ("app1",)), ("fail_percent", 100)])
def test_a_rotation_is_for_all_hosts_or_for_none(capsys: pytest.CaptureFixture[str], option: str, value: Any) -> None:
    words = {"inventory": "@local", "operations": ("runbooks/rotate_secrets.py",)}
    with pytest.raises(SystemExit) as ended:
        guards._refuse({**words, option: value})
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error  --{option.replace('_', '-')} would lock logins that hosts without the new secrets")
    guards._refuse({**words, option: None})
    guards._refuse({"inventory": "@local", "operations": ("deploy.py",), option: value})
