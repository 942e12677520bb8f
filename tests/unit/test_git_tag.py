"""A confirmed release is tagged once, where this machine has a tree; what fails there is one line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all

from changeover import fleet
from changeover.live import Live, Releases
from changeover.plan import Plan
from operations import git_tag

Run = Callable[..., Outcome]
PINNED = "registry.test:5000/shop/api:1.1.0@sha256:" + "a" * 64
LIVE = Live(generation=7, release=Releases(live="1.0.0"))


def plan(asked: str | None = "1.1.0", change: Callable[[Hosts], None] = lambda hosts: None) -> Plan:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    change(hosts)
    return fleet.load(hosts)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    words = ["-c", "user.name=dana", "-c", "user.email=dana@shop.test"]
    for command in (["init", "-q"], [*words, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def known_here(tree: Path) -> None:
    for key, value in (("user.name", "dana"), ("user.email", "dana@shop.test")):
        subprocess.run(["git", "config", key, value], check=True)


def test_a_release_is_tagged_once_with_its_images(tree: Path) -> None:
    known_here(tree)
    text = git_tag.message("shop", "production", "1.1.0", "T1", "dana@here", {"api": PINNED})
    assert git_tag.tag("shop-v1.1.0", text).endswith("to publish it: git push origin shop-v1.1.0")
    shown = git_tag.git("cat-file", "tag", "shop-v1.1.0")[1]
    assert "type commit" in shown and "Release 1.1.0" in shown and PINNED in shown and "dana@here, T1" in shown
    assert git_tag.tag("shop-v1.1.0", text) == ""


def test_a_tree_with_changes_says_so_in_the_tag(tree: Path) -> None:
    known_here(tree)
    (tree / "a").write_text("1")
    subprocess.run(["git", "add", "a"], check=True)
    git_tag.tag("v1", "Release 1")
    assert "not committed" in git_tag.git("cat-file", "tag", "v1")[1]


def test_a_tag_that_fails_is_one_line(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    line = git_tag.tag("v1", "Release 1")
    assert line.startswith("not tagged v1: ") and "\n" not in line
    monkeypatch.setenv("PATH", "/nowhere")
    assert git_tag.tag("v1", "Release 1").startswith("not tagged v1: ")


def test_without_a_repository_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_tag.tag("v1", "Release 1") == ""


def test_a_tag_that_fails_never_fails_the_deploy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_tag, "tag", lambda *_: "not tagged v1: no identity")
    words = {"name_": "v1", "system": "shop", "environment": "staging", "release": "1", "txn": "T", "actor": "me"}
    assert not run(git_tag.tagged, {}, **words).failed


@pytest.mark.parametrize(
    "environment, setting, asked, wanted",
    [
        ("production", "production", "1.1.0", "shop-v1.1.0"),
        ("staging", "production", "1.1.0", None),
        ("staging", "always", "1.1.0", "shop-v1.1.0"),
        ("production", "never", "1.1.0", None),
        ("production", "production", None, None),
    ],
)
def test_where_a_release_is_tagged(environment: str, setting: str, asked: str | None, wanted: str | None) -> None:
    def change(hosts: Hosts) -> None:
        on_all("fleet.environment", environment)(hosts)
        on_all("shop.release", {"tag": setting})(hosts)

    assert git_tag.name_of(plan(asked, change), "shop", LIVE) == wanted
