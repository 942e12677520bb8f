"""facts/fitness.py: the questions of preflight, asked of this machine."""

from __future__ import annotations

import base64
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changeover.look import Look
from facts.fitness import Entry, Fitness
from facts.on_host import look

QUESTION: dict[str, Any] = {
    "ports": [],
    "images": [],
    "looked_up": [],
    "foreign": [],
    "engine_root": "/var/lib/docker",
    "tools": [],
    "units": [],
    "volumes": [],
    "tags": [],
}


def ask(**changes: Any) -> Look:
    """What the fact says of this machine."""
    fact = Fitness()
    command = fact.command({**QUESTION, **changes})
    run = subprocess.run(["sh", "-c", command.get_raw_value()], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    found = fact.process(run.stdout.splitlines())
    assert found is not None, run.stdout + run.stderr
    return found


def test_who_a_run_is_here() -> None:
    run = subprocess.run(["sh", "-c", Entry().command()], capture_output=True, text=True, timeout=20)
    found = Entry().process(run.stdout.splitlines())
    assert run.returncode == 0 and found
    assert found.uid == str(os.getuid()) and found.path and found.python.startswith("3.") and found.os


def test_a_path_without_anything_on_it_is_no_reason_to_fail() -> None:
    run = subprocess.run(
        ["/bin/sh", "-c", Entry().command()], capture_output=True, text=True, env={"PATH": "/nowhere"}, timeout=20
    )
    found = Entry().process(run.stdout.splitlines())
    assert run.returncode == 0 and found and (found.uid, found.python, found.path) == ("", "", "/nowhere")


@pytest.mark.parametrize("lines", [[], ["Welcome to app1!", "changeover-access"], ["x"]])
def test_a_shell_that_says_something_else_is_none(lines: list[str]) -> None:
    assert Entry().process(lines) is None


def test_this_machine_is_seen_and_its_clock_is_our_own() -> None:
    found = ask(tools=["sh", "no-such-tool"])
    assert found.uid == os.geteuid() and found.hostname == socket.gethostname()
    assert found.memory > found.available > 0 and found.cpus == os.cpu_count()
    assert next(iter(found.disks)) == "/var/lib/docker" and all(free > 0 for free in found.disks.values())
    assert found.lacks == ["no-such-tool"]
    assert abs(found.skew) - found.unsure < 0.5


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_who_holds_a_port_is_named(family: int, address: str) -> None:
    with socket.socket(family) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip(f"nobody can hold a port of {address}: this machine has no such address (no IPv6)")
        listener.listen()
        port = listener.getsockname()[1]
        (held,) = ask(ports=[port]).held
        assert (held.address, held.port, held.pid) == (address, port, os.getpid())
        assert held.who == Path("/proc/self/comm").read_text().strip()
    assert ask(ports=[port]).held == []


@pytest.mark.parametrize(
    "digests, lacking", [(["registry.test:5000/shop/api@sha256:1"], []), (["registry.test:5000/shop/web@sha256:1"], 1)]
)
def test_an_image_whose_repository_is_known_by_a_digest_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, digests: list[str], lacking: Any
) -> None:
    image = "registry.test:5000/shop/api:2"
    here = (200, [{"RepoDigests": digests}, {"RepoDigests": None}])
    monkeypatch.setattr(look, "ask", lambda path, headers=None: here if path == "/images/json" else (404, {}))
    assert look.missing([image], [image]) == ([image] if lacking else [])
    assert look.missing([image], []) == [image], "nobody looks this tag up later"
    monkeypatch.setattr(look, "ask", lambda path, headers=None: (500, {"message": "no"}))
    assert look.missing([image], [image]) == [image]


def test_foreign_files_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").touch()
    (tmp_path / "link.yaml").symlink_to("nowhere")
    names = [str(tmp_path / name) for name in ("compose.yaml", "link.yaml", "none.yaml")]
    assert ask(foreign=names).foreign == names[:2]


def test_ours_are_not_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compose.yaml").touch()
    (tmp_path / "written").write_text(f"{tmp_path}/compose.yaml\n")
    monkeypatch.setattr(look, "WRITTEN", str(tmp_path / "written"))
    assert look.foreign([f"{tmp_path}/compose.yaml"]) == []


class Says404(http.server.BaseHTTPRequestHandler):
    """A registry that knows nothing; but it answers."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Says404)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_a_registry_that_answers_anything_is_reached(registry: str) -> None:
    found = ask(images=[f"{registry}/shop/api:1"])
    assert found.missing == [f"{registry}/shop/api:1"] and found.silent == {}


def test_a_registry_that_is_not_there_is_named_with_why() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        name = f"127.0.0.1:{free.getsockname()[1]}"
    assert ask(images=[f"{name}/shop/api:1"]).silent == {name: "Connection refused"}


@pytest.mark.parametrize(
    "image, name",
    [
        ("nginx:1.26", "registry-1.docker.io"),
        ("library/nginx:1.26", "registry-1.docker.io"),
        ("docker.io/library/nginx:1.26", "registry-1.docker.io"),
        ("registry.example.com/shop/api:1", "registry.example.com"),
        ("ops1:5000/shop/api:1@sha256:0", "ops1:5000"),
        ("localhost/x", "localhost"),
    ],
)
def test_where_an_image_is_pulled_from(image: str, name: str) -> None:
    assert look.registry(image) == name


def test_the_major_version_of_a_database_is_read_from_its_volume(tmp_path: Path) -> None:
    (tmp_path / "volumes/shop_data/_data").mkdir(parents=True)
    (tmp_path / "volumes/shop_data/_data/PG_VERSION").write_text("17\n")
    found = ask(engine_root=str(tmp_path), volumes=["shop_data", "none_data"])
    assert found.majors == {"shop_data": "17"} and str(tmp_path) in found.disks


def test_the_registrys_word_on_tags_is_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []

    def engine(path: str, headers: Any = None) -> Any:
        asked.append((path, headers))
        if "silent" in path:
            return None
        return (200, {"Descriptor": {"digest": "sha256:1"}}) if "api" in path else (403, {})

    monkeypatch.setattr(look, "ask", engine)
    monkeypatch.setattr(look, "logins", lambda: {"r.test": ("me", "planted")})
    assert look.digests(["r.test/shop/api:1", "r.test/denied:1", "q.test/silent:1", "q.test/api:2"]) == {
        "r.test/shop/api:1": "sha256:1"
    }
    assert [path for path, _ in asked] == [
        f"/distribution/{name}/json" for name in ("r.test/shop/api:1", "r.test/denied:1", "q.test/silent:1")
    ]
    login = base64.urlsafe_b64decode(asked[0][1]["X-Registry-Auth"]).decode()
    assert json.loads(login) == {"username": "me", "password": "planted", "serveraddress": "r.test"}


@pytest.mark.parametrize(
    "written, found",
    [
        ('{"auths": {"r.test": {"auth": "bWU6YTpi"}}}', {"r.test": ("me", "a:b")}),
        ('{"auths": {"r.test": {}}, "credsStore": "pass"}', {}),
        ("", {}),
        ("{", {}),
    ],
)
def test_a_login_is_read_as_docker_wrote_it(
    monkeypatch: pytest.MonkeyPatch, written: str, found: dict[str, tuple[str, str]]
) -> None:
    monkeypatch.setattr(look, "text", lambda path: written)
    assert look.logins() == found


DPKG = """Package: docker-ce
Status: install ok installed
Version: 5:28.2.2-1~debian.13~trixie

Package: postgresql-17
Status: install ok half-configured
Version: 17.6

Package: docker.io
Status: deinstall ok config-files
Version: 26.1.5
"""


def test_packages_that_matter_and_those_that_are_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "status").write_text(DPKG)
    monkeypatch.setattr(look, "STATUS", str(tmp_path / "status"))
    assert look.packages() == ({"docker-ce": "5:28.2.2-1~debian.13~trixie"}, ["postgresql-17"])


def test_no_engine_is_an_answer_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "SOCKET", "/nowhere/docker.sock")
    assert look.ask("/version") is None and look.containers() == []
    assert look.missing(["a:1", "b:1"], []) == ["a:1", "b:1"] and look.engine()["version"] == ""


def test_it_runs_with_the_oldest_python_of_a_host() -> None:
    """3.10 is the oldest that is supported: nothing newer may be needed to read the script."""
    code = "import ast, sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 10))"
    subprocess.run([sys.executable, "-c", code, look.__file__], check=True, timeout=20)


@pytest.mark.parametrize("lines", [[], ["Traceback"], ["[]"], ['{"began": 1}'], ['{"began": 1, "ended": 2}']])
def test_what_is_no_answer_is_none(lines: list[str]) -> None:
    assert Fitness().process(lines) is None


def test_a_clock_that_is_ahead_is_seen_from_the_middle_of_the_question() -> None:
    fact = Fitness()
    fact.command(QUESTION)
    now = time.time() + 90
    seen = {"uid": 0, "path": "", "hostname": "a", "memory": 1, "available": 1, "cpus": 1}
    found = fact.process([json.dumps({**seen, "began": now, "ended": now})])
    assert found and found.skew == pytest.approx(90, abs=0.5) and found.unsure < 0.5
