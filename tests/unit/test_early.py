"""python -m changeover early: what a person gets to be chosen, from the settings and secrets of an inventory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from plans import ROOT, production_hosts

from changeover import __main__ as command_line
from changeover import early, fleet, inventory

SECRET = "a secret of the tests"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one system, as a team has it, in the folder that is worked in."""
    (tmp_path / "group_data").mkdir()
    (tmp_path / "inventories").mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "inventories/prod.py").write_text(
        '_one = ("one", {"address": "10.0.0.1"})\nedge = [_one]\napp = [_one]\nshop = [_one]\n'
    )
    (tmp_path / "group_data/all.py").write_text('fleet = {"registry": "registry.test"}\n')
    (tmp_path / "group_data/prod.py").write_text('overrides = {"shop.release.early_secret": "EARLY_SECRET"}\n')
    (tmp_path / "group_data/shop.py").write_text(
        'shop = {"initial_release": "1", "domain": "shop.test", "services": {"api": {"layer": 2, "on": "app",\n'
        '    "port": 80, "slots": {"blue": 1800, "green": 1801}, "routes": {"/": {}}, "health": {"http": "/"}}},\n'
        '    "release": {"steps": [{"who": {"teams": ["internal"]}}, 5]}}\n'
    )
    secrets = tmp_path / "secrets/production.env"
    secrets.write_text(f"EARLY_SECRET={SECRET}\n")
    secrets.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EARLY_SECRET", raising=False)
    return tmp_path


def test_header_cookie_and_a_line_for_the_browser(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["early", "shop", "internal"]) == 0
    value = early.signed(SECRET, "shop", "internal")
    header, cookie, browser = capsys.readouterr().out.splitlines()
    assert header == f"header   X-Changeover-Early: {value}"
    assert cookie == f"cookie   changeover_early_shop={value}"
    ends = "; path=/; max-age=2592000; samesite=lax"
    assert browser.endswith(f"document.cookie = 'changeover_early_shop={value}{ends}'"), "no secure: no TLS"


@pytest.mark.parametrize(
    "words, says",
    [
        (["shop", "internl"], "no step of shop.release.steps chooses internl; did you mean internal?"),
        (["shp", "internal"], "no system shp; did you mean shop?"),
        (["shop", "internal", "--inventory", "inventories/none.py"], "inventories/none.py cannot be read"),
    ],
)
def test_a_mistake_is_one_line(
    repository: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert command_line.main(["early", *words]) == 1
    said = capsys.readouterr()
    assert said.out == "" and says in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize("text, says", [("", "(system shop) is in neither"), ("short", "is shorter than 16")])
def test_a_secret_that_is_none(
    repository: Path, capsys: pytest.CaptureFixture[str], text: str, says: str
) -> None:
    (repository / "secrets/production.env").write_text(f"EARLY_SECRET={text}\n")
    assert command_line.main(["early", "shop", "internal"]) == 1
    assert says in capsys.readouterr().err


def test_settings_with_a_mistake_are_refused_as_a_deploy_does(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "group_data/prod.py").write_text("overrides = {}\n")
    assert command_line.main(["early", "shop", "internal"]) == 1
    assert "shop.release: early_secret is missing" in capsys.readouterr().err


def test_an_inventory_is_read_as_pyinfra_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert inventory.plan(Path("inventories/prod.py")) == fleet.load(production_hosts())


def test_it_is_a_command(repository: Path) -> None:
    words = [sys.executable, "-m", "changeover", "early", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "--inventory" in done.stdout
