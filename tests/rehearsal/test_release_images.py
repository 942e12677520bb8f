"""A release is the same bytes on every host, whatever becomes of its tag; old ones are removed, foreign ones never.

Ends on the release that it began on, or on 1.1.0 when that was 1.0.0.
"""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from rehearsal import registry
from tests import support
from tests.support import changeover, live, pyinfra, ssh

DOCKER = "/usr/bin/docker"
PUSH = registry.push_address()
PARTS = ("api", "dashboard")
APPS = ("app1", "app2")
QUICK = {"tasktracker.release.soak": "5s", "tasktracker.release.keep": 2}
NOW = int(time.time())  # names that no host knows from a run before
FIRST, SECOND = f"1.1.{NOW}", f"1.1.{NOW + 1}"


def docker(*words: str) -> str:
    """This machine's engine, from where the registry is filled."""
    done = subprocess.run([DOCKER, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


class Copies:
    """Further releases: the sample's newest image with another RELEASE in it, and another mark, so other bytes."""

    def __init__(self) -> None:
        self.pushed: dict[str, set[str]] = {part: set() for part in PARTS}

    def push(self, release: str, mark: str) -> None:
        for part in PARTS:
            source, target = f"{PUSH}/tasktracker/{part}:1.1.1", f"{PUSH}/tasktracker/{part}:{release}"
            docker("pull", "-q", source)
            container = docker("create", source)
            changes = [w for text in (f"ENV RELEASE={release}", f"LABEL mark={mark}") for w in ("--change", text)]
            docker("commit", *changes, container, target)
            docker("rm", container)
            docker("push", "-q", target)
            self.pushed[part].add(str(registry.digest(f"tasktracker/{part}:{release}")))
            docker("rmi", target, source)

    def remove(self) -> None:
        connection = http.client.HTTPConnection(PUSH, timeout=10)
        for part, digests in self.pushed.items():
            for digest in digests:
                connection.request("DELETE", f"/v2/tasktracker/{part}/manifests/{digest}")
                assert connection.getresponse().read() is not None
        connection.close()


@pytest.fixture(scope="module")
def copies() -> Iterator[Copies]:
    made = Copies()
    try:
        made.push(FIRST, "one")
        made.push(SECOND, "two")
        yield made
    finally:
        made.remove()


def deploy(release: str | None, words: list[str]) -> support.Run:
    """A deploy that must end well."""
    asked = ["--data", f"release={release}"] if release else []
    run = pyinfra("deploy.py", "-y", "--json", *asked, *words)
    assert run.code == 0, run.text
    return run


@contextmanager
def registry_down() -> Iterator[None]:
    ssh("ops1", "systemctl stop docker-registry")
    try:
        yield
    finally:
        ssh("ops1", "systemctl start docker-registry")
        registry.wait_until_ready()


def images(host: str) -> dict[str, tuple[str, str]]:
    """{container: (image's name, image's id)} of the system's live and idle slots on a host."""
    names = "docker ps -aq --filter label=changeover.system=tasktracker --filter label=changeover.slot"
    text = ssh(host, f"docker inspect -f '{{{{.Name}}}} {{{{.Config.Image}}}} {{{{.Image}}}}' $({names})")
    return {name: (image, image_id) for name, image, image_id in (line.split() for line in text.splitlines())}


def tags(host: str) -> str:
    return ssh(host, "docker images --digests --format '{{.Repository}} {{.Tag}} {{.Digest}}'")


@pytest.mark.late
def test_images_by_digest(gateway: httpx.Client, copies: Copies, tmp_path) -> None:
    words = support.data(tmp_path, QUICK)
    first = live()["release"]["live"]
    if first == "1.0.0":  # whose schema is older than that of the copies
        first = "1.1.0"
        deploy(first, words)

    # as it was before digests were written down, or after: nothing is started anew
    before = {host: ssh(host, "docker ps --format '{{.ID}} {{.Names}}' | grep tasktracker | sort") for host in APPS}
    deploy(None, words)
    for host in APPS:
        assert ssh(host, "docker ps --format '{{.ID}} {{.Names}}' | grep tasktracker | sort") == before[host]

    deploy(FIRST, words)
    slot = live()["slots"]["api"]["live"]
    pinned = live()["images"][FIRST]["api"]
    assert pinned.endswith(str(registry.digest(f"tasktracker/api:{FIRST}")))
    everywhere = {images(host)[f"/tasktracker-api-{slot}-1"] for host in APPS}
    assert len(everywhere) == 1 and {name for name, _ in everywhere} == {pinned}
    assert {live(host=host)["images"][FIRST]["api"] for host in (*APPS, "data1")} == {pinned}
    assert gateway.get("/api/health").json()["release"] == FIRST

    # the tag moves; a host that lost everything gets the same bytes again
    copies.push(FIRST, "moved")
    assert registry.digest(f"tasktracker/api:{FIRST}") not in pinned
    ssh("app2", f"docker rm -f tasktracker-api-{slot}-1 tasktracker-worker-{slot}-1; docker rmi -f $(docker images -q"
        " --no-trunc --filter reference='*/tasktracker/api' | sort -u | grep -v none) 2>/dev/null; true")  # fmt: skip
    deploy(None, words)
    assert {images(host)[f"/tasktracker-api-{slot}-1"] for host in APPS} == everywhere
    assert {images(host)[f"/tasktracker-worker-{slot}-1"] for host in APPS} == everywhere

    # nothing to do needs no registry
    with registry_down():
        assert deploy(None, words).changes == 0
        absent = pyinfra("deploy.py", "-y", "--data", "release=1.1.99", *words)
        assert absent.code == 1 and "tasktracker/api:1.1.99 cannot be pulled" in absent.text
        assert "Traceback" not in absent.text and live()["release"]["candidate"] is None

    # with two kept, the third pushes the oldest out; what is foreign stays
    foreign = f"{registry.pull_address()}/library/nats:2.10"
    ssh("app1", f"docker pull -q {foreign}")
    # a release that fails before it touches a slot leaves the way back, and its images are everywhere: with them the
    # whole of its way needs no registry
    untouched = live()["release"]
    no = [{"name": "files", "when": "before", "run": ["false"]}]
    words_no = support.data(tmp_path, {**QUICK, "tasktracker.release.commands": no})
    stopped = pyinfra("deploy.py", "-y", "--data", f"release={SECOND}", *words_no)
    assert stopped.code == 1 and live()["release"] == untouched, stopped.text
    words = support.data(tmp_path, QUICK)
    with registry_down():
        deploy(SECOND, words)
    deploy(first, words)
    assert live()["lived"] == [SECOND, first] and live()["release"] == {
        "live": first, "previous": SECOND, "candidate": None
    }  # fmt: skip
    for host, part in (("app1", "api"), ("app2", "api"), ("edge1", "dashboard")):
        assert live()["images"][FIRST][part].partition("@")[2] not in tags(host), "it is older than the last two"
        assert live()["images"][SECOND][part].partition("@")[2] in tags(host)
    assert foreign.replace("nats:", "nats ") in tags("app1"), "nobody wrote it down: it is not ours to remove"
    told = changeover("app2", "history tasktracker")
    assert "images here" in told and f"{SECOND}" in told and "to go back: changeover rollback tasktracker" in told
    assert deploy(None, words).changes == 0
    deploy(None, [])  # with as many kept as before
