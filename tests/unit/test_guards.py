"""pyinfra itself, in a repository of its own, on hosts that are not there: wrong input never ends with exit code 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYINFRA = str(Path(sys.executable).parent / "pyinfra")
LIMIT = 60  # seconds for one run

INVENTORY = """
QUICK = {"fake_delay": 0, "fake_delay_jitter": 0}
edge = [("@fake/edge1", {"address": "10.0.0.1", **QUICK, **EDGE})]
app = [("@fake/app1", {"address": "10.0.0.2", **QUICK}), ("@fake/app2", {"address": "10.0.0.3", **QUICK})]
tiny = [*edge, *app]
"""
ALL = 'fleet = dict(environment="staging", registry="r.test", secrets_file="secrets.env")\n'
TINY = """
tiny = dict(initial_release="1.0", domain="tiny.test", services=dict(
    web=dict(layer=2, on="app", port=80, publish=8000, routes={"/": {}}, secrets=["TOKEN"])))
"""
DEPLOY = """
from pathlib import Path
from pyinfra import host
from operations import flow, run
Path(f"seen-{host.name[6:]}").touch()
print("live", run.live("tiny"))
flow.barrier(name="all are here")
"""
INSIDE = DEPLOY + """
from pyinfra.api import operation
@operation()
def boom():
    raise ValueError("planted/canary inside")
    yield
boom(name="boom")
"""
SLOW = DEPLOY + 'from pyinfra.operations import server\nserver.shell(name="slow", commands=["sleep 60"])\n'


@dataclass
class Case:
    """A repository with one thing wrong, the words after `pyinfra`, and what must come of it."""

    words: str
    code: int = 1
    says: list[str] = field(default_factory=list)
    tiny: str = TINY
    edge: str = "{}"
    secrets: str = "TOKEN=x\n"
    connects: bool = False


ERROR = "error  "
CASES = {
    "all is well": Case("inventories/staging.py deploy.py -y", 0, connects=True),
    "mistyped inventory": Case(
        "inventories/stagng.py deploy.py -y",
        says=[f"{ERROR}no inventory file inventories/stagng.py; there are: inventories/staging.py"],
    ),
    "limit that matches nothing": Case(
        "inventories/staging.py deploy.py -y --limit nobody",
        says=[f"{ERROR}--limit nobody: no such host or group"],
    ),
    "limit that names somebody else too": Case(
        "inventories/staging.py deploy.py -y --limit @fake/app1 --limit @fake/ap2",
        says=[f"{ERROR}--limit @fake/ap2: no such host or group; did you mean @fake/app2?"],
    ),
    "no wait": Case(
        "inventories/staging.py deploy.py -y --no-wait", says=[f"{ERROR}--no-wait hides failures; leave it out"]
    ),
    "a rotation of some hosts only": Case(
        "inventories/staging.py runbooks/rotate_secrets.py -y --limit @fake/app1",
        says=[
            f"{ERROR}--limit would lock logins that hosts without the new secrets still use; leave it out: "
            "runbooks/rotate_secrets.py is for all hosts"
        ],
    ),
    "bad settings": Case(
        "inventories/staging.py deploy.py -y",
        tiny=TINY.replace("publish=8000", 'publish="8000"'),
        says=[
            f"{ERROR}group_data/tiny.py  tiny.services.web.publish: must be a whole number (it is '8000')",
            "1 error; nothing was touched",
        ],
    ),
    "missing secret": Case(
        "inventories/staging.py deploy.py -y",
        secrets="OTHER=x\n",
        says=[
            f"{ERROR}secret TOKEN (system tiny) is in neither the environment nor secrets.env",
            "1 error; nothing was touched",
        ],
    ),
    "a phase alone with a release": Case(
        "inventories/staging.py phases/services.py -y --data release=2.0.0",
        says=[
            f"{ERROR}phases/services.py alone brings no release: it would take the slot of the release before",
            "1 error; nothing was touched",
        ],
    ),
    "a phase that touches no slot": Case(
        "inventories/staging.py phases/preflight.py -y --data release=2.0.0", 0, connects=True
    ),
    "a phase alone with what is live": Case("inventories/staging.py phases/services.py -y", 0, connects=True),
    "damaged state": Case(
        "inventories/staging.py deploy.py -y",
        edge='{"fake_responses": {"state.json": "{"}}',
        says=["state.json is damaged (Expecting property name", "copy it from another host of tiny"],
        connects=True,
    ),
    "state that cannot be asked": Case(
        "inventories/staging.py deploy.py -y",
        edge='{"fake_responses": {"state.json": {"success": False, "stderr": "sudo: a password is required"}}}',
        says=["sudo: a password is required"],
        connects=True,
    ),
    "a host that prints a secret": Case(
        "inventories/staging.py deploy.py -y",
        edge='{"fake_responses": {"state.json": {"success": False, "stderr": "login with planted/canary failed"}}}',
        secrets="TOKEN=planted/canary\n",
        says=["login with *MASKED* failed"],
        connects=True,
    ),
}


@dataclass
class Ended:
    """How a run ended."""

    code: int
    lines: list[str]
    repository: Path


def repository(root: Path, case: Case) -> Path:
    """A repository with our code and settings of its own."""
    for name in ("config.py", "changeover", "operations", "facts", "templates"):
        (root / name).symlink_to(ROOT / name)
    for folder in ("inventories", "group_data"):
        (root / folder).mkdir()
    (root / "inventories/staging.py").write_text(INVENTORY.replace("EDGE", case.edge))
    (root / "group_data/all.py").write_text(ALL)
    (root / "group_data/tiny.py").write_text(case.tiny)
    (root / "deploy.py").write_text(DEPLOY)
    for name, text in {"slow": SLOW, "inside": INSIDE}.items():
        (root / f"{name}.py").write_text(text)
    (root / "phases").mkdir()
    (root / "runbooks").mkdir()
    (root / "runbooks/rotate_secrets.py").write_text(DEPLOY)
    for name in ("preflight", "services"):
        (root / "phases" / f"{name}.py").write_text(DEPLOY)
    secrets = root / "secrets.env"
    secrets.write_text(case.secrets)
    secrets.chmod(0o600)
    return root


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}


def start(root: Path, words: str) -> subprocess.Popen[str]:
    command = [PYINFRA, *words.split()]
    return subprocess.Popen(
        command, cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def end(run: subprocess.Popen[str], root: Path) -> Ended:
    try:
        output, _ = run.communicate(timeout=LIMIT)
    finally:
        run.kill()
    return Ended(run.returncode, output.splitlines(), root)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """All runs, a few at a time."""

    def one(name: str) -> Ended:
        root = repository(tmp_path_factory.mktemp("repository"), CASES[name])
        return end(start(root, CASES[name].words), root)

    tmp_path_factory.getbasetemp()  # made once: four threads would make four
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(CASES, pool.map(one, CASES), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_exit_code_and_message(runs: dict[str, Ended], name: str) -> None:
    ended, case = runs[name], CASES[name]
    text = "\n".join(ended.lines)
    assert ended.code == case.code, text
    if case.connects:
        assert all(words in text for words in case.says), text
    else:
        ours = [line for line in ended.lines if line.startswith(ERROR) or line.endswith("nothing was touched")]
        assert ours == case.says, text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.connects])
def test_nothing_was_connected_and_no_deploy_was_read(runs: dict[str, Ended], name: str) -> None:
    assert not [line for line in runs[name].lines if "Connect" in line]
    assert not list(runs[name].repository.glob("seen-*"))
    assert not (runs[name].repository / "reports").exists()


def test_a_good_run_reached_every_host(runs: dict[str, Ended]) -> None:
    seen = sorted(path.name for path in runs["all is well"].repository.glob("seen-*"))
    assert seen == ["seen-app1", "seen-app2", "seen-edge1"]


def test_no_secret_is_printed(runs: dict[str, Ended]) -> None:
    for planted in ("TOKEN=x", "planted/canary"):
        assert not [name for name, run in runs.items() if planted in "\n".join(run.lines)]


def test_an_error_inside_that_quotes_a_secret(tmp_path: Path) -> None:
    """Its trace is shown by gevent and pyinfra, and kept in pyinfra's own log."""
    root = repository(tmp_path, Case("", secrets="TOKEN=planted/canary\n"))
    text = "\n".join(end(start(root, "inventories/staging.py inside.py -y"), root).lines)
    log = root / "pyinfra-debug.log"
    for shown in (text, log.read_text()):
        assert "*MASKED* inside" in shown and "planted/canary" not in shown
    assert log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_so_by_its_exit_code(tmp_path: Path, number: int, code: int) -> None:
    root = repository(tmp_path, Case(""))
    inventory = root / "inventories/staging.py"
    inventory.write_text(INVENTORY.replace("EDGE", "{}") + "app[0][1].update(fake_delay=30)\n")
    run = start(root, "inventories/staging.py slow.py -y")
    try:
        limit = time.monotonic() + LIMIT
        while not len(list(root.glob("seen-*"))) == 3 and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(0.7)  # now it is in the slow step
        assert run.poll() is None
        run.send_signal(number)
        began = time.monotonic()
        ended = end(run, root)
    finally:
        run.kill()
    assert ended.code == code, "\n".join(ended.lines)
    assert time.monotonic() - began < 10


# The same guards without a process of pyinfra's.
