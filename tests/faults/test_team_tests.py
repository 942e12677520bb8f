"""A team's own tests decide: integration tests before the switch, smoke tests after it. What they print is masked."""

import json
from pathlib import Path
from typing import Any

from changeover.secret_sources import read_env
from tests.faults.test_release import QUICK, one_release_live, other, served  # noqa: F401  (one is a fixture)
from tests.rehearsal.conftest import gateway  # noqa: F401  (a fixture)
from tests.support import ROOT, Run, changeover, data, live, pyinfra

SECRETS = ROOT / ".rehearsal" / "secrets.env"
LATEST = ROOT / "reports" / "latest"


def reported(run: Run) -> dict[str, Any]:
    """The run's record; the secret that its tests printed is in nothing that the run left."""
    left = {str(file): file.read_text() for file in LATEST.iterdir()} | {"what a person saw": run.text}
    if (log := ROOT / "pyinfra-debug.log").exists():
        left[str(log)] = log.read_text(errors="replace")
    canary = read_env(SECRETS.read_text())["ADMIN_TOKEN"]
    assert len(canary) > 8 and [where for where, text in left.items() if canary in text] == []
    return json.loads(left[str(LATEST / "record.json")])


def test_a_release_whose_integration_tests_fail_is_never_switched_to(gateway, tmp_path):  # noqa: F811
    before = live()
    release = other(before["release"]["live"])
    script = 'echo "the token is $ADMIN_TOKEN"; python -c "import os, urllib.request as u; print(u.urlopen(' \
             "os.environ['BASE_URL'] + '/api/health').read())\"; echo '4 failed, 27 passed'; exit 1"  # fmt: skip
    test = {"run": ["sh", "-c", script], "folder": "examples/tasktracker", "secrets": ["ADMIN_TOKEN"], "timeout": "30s"}
    words = data(tmp_path, {**QUICK, "tasktracker.services.api.test": test})
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *words)
    assert run.code == 1 and "Traceback" not in run.text
    assert "the integration tests ended with exit code 1; the last lines:" in run.text
    assert "the token is *MASKED*" in run.text and f'"release":"{release}"' in run.text.replace(" ", "")
    assert f"nothing was switched; {before['release']['live']} serves as before" in run.text
    assert live()["generation"] == before["generation"] and served(gateway) == before["release"]["live"]
    made = reported(run)
    assert made["outcome"] == "failed" and "4 failed, 27 passed" in made["error"]["why"]
    assert {one["verdict"] for one in made["checklist"]} == {"fail"}
    whole = next(line.split("the whole output: ")[1] for line in run.text.splitlines() if "the whole output: " in line)
    assert "the token is *MASKED*" in Path(ROOT / whole).read_text()


def test_integration_tests_that_hang_are_ended(gateway, tmp_path):  # noqa: F811
    before = live()
    test = {"run": ["sh", "-c", "echo begun; sleep 987"], "timeout": "3s"}
    words = data(tmp_path, {**QUICK, "tasktracker.services.api.test": test})
    run = pyinfra("deploy.py", "-y", "--data", f"release={other(before['release']['live'])}", *words)
    assert run.code == 1 and "the integration tests took over 3s; the last lines:" in run.text
    assert live()["generation"] == before["generation"]
    left = [file for file in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x00987" in _read(file)]
    assert left == []


def test_a_release_whose_smoke_tests_fail_goes_back_and_is_held(gateway, tmp_path):  # noqa: F811
    before = live()
    release = other(before["release"]["live"])
    smoke = [
        {"name": "a write", "method": "POST", "path": "/api/v1/topics", "expect": 201,
         "json": {"external_id": "{id}", "name": "a smoke test"}},
        {"name": "a page that is not there", "path": "/api/v1/topics/{id}-not",
         "headers": {"Authorization": "Bearer {secret.ADMIN_TOKEN}"}},
        {"name": "one that is not sent any more", "path": "/api/health"},
    ]  # fmt: skip
    words = data(tmp_path, {**QUICK, "tasktracker.release.smoke": smoke})
    run = pyinfra("deploy.py", "-y", "--data", f"release={release}", *words)
    try:
        assert run.code == 1 and "Traceback" not in run.text
        assert "smoke test 'a page that is not there' failed" in run.text
        assert "GET /api/v1/topics/smoke-" in run.text
        assert "wanted: 200; came: 404" in run.text
        assert f"tasktracker is back on {before['release']['live']}" in run.text
        after = live()
        assert after["release"]["live"] == before["release"]["live"] == served(gateway)
        assert "a page that is not there" in after["held"][release] and after["lease"] is None
        made = reported(run)
        assert made["outcome"] == "rolled_back"
        smoked = [one for one in made["checklist"] if "smoke test" in one["item"]]
        assert [one["verdict"] for one in smoked] == ["pass", "fail"]
        assert "a page that is not there" in (LATEST / "index.html").read_text()
        again = pyinfra("deploy.py", "-y", "--data", f"release={release}", *words)
        assert again.code == 1 and f"{release} is held: smoke test" in again.text
    finally:
        changeover("edge1", f"unhold tasktracker {release}", check=False)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
