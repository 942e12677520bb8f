"""What .rehearsal holds: status, secrets, keys, certificates; and one command at a time."""

import io
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from rehearsal import __main__ as command
from rehearsal import paths, plan, state, trust
from rehearsal.errors import RehearsalError
from rehearsal.progress import Progress


def test_status_says_how_everything_is_reached(tmp_path: Path) -> None:
    content = state.status("up", plan.HOSTS, plan.SUBNET, "2026-11-21T00:00:00Z", tmp_path)
    assert content["gateway"] == {
        "url": "https://tasks.staging.test:8443",
        "address": "127.0.0.1",
        "http_port": 8080,
        "https_port": 8443,
        "ca": f"{tmp_path}/ca.crt",
    }
    assert content["registry"] == {"push": "127.0.0.1:5555", "pull": "ops1.staging.test:5000"}
    assert content["hosts"]["edge1"] == {
        "address": "172.30.99.11",
        "ssh_hostname": "127.0.0.1",
        "ssh_port": 2302,
        "fqdn": "edge1.staging.test",
        "container": "changeover-edge1",
    }
    state.write(content, tmp_path)
    assert state.read(tmp_path) == content
    assert state.read(tmp_path / "nothing")["state"] == "down"


def test_status_for_people_names_the_next_command() -> None:
    assert command.describe({"state": "down"})[-1] == "next        python -m rehearsal up"
    content = state.status("broken", plan.HOSTS, plan.SUBNET, "2026-11-21T00:00:00Z")
    for row in content["hosts"].values():
        row["state"] = "exited"
    text = "\n".join(command.describe(content))
    assert "app2      exited    172.30.99.13" in text and text.endswith("python -m rehearsal up")


def test_an_owner_lasts_as_long_as_the_state(tmp_path: Path) -> None:
    first = state.owner(tmp_path / "a")
    assert state.owner(tmp_path / "a") == first != state.owner(tmp_path / "b")
    assert first["changeover.checkout"] == str(paths.OWNER)


def test_a_wrong_subnet_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(state.SUBNET_VARIABLE, "10.0.0.0/30")
    with pytest.raises(RehearsalError, match="10.0.0.0/30"):
        state.subnet()


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    trust.secret_values(file, ["ONE"])
    first = file.read_text()
    trust.secret_values(file, ["ONE", "TWO"])
    assert file.read_text().startswith(first) and file.read_text().count("\n") == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(first.strip().removeprefix("ONE=")) == 48


def test_the_ssh_key_is_kept(tmp_path: Path) -> None:
    public = trust.ssh_key(tmp_path / "ssh_key")
    assert public.startswith("ssh-ed25519 ") and trust.ssh_key(tmp_path / "ssh_key") == public
    assert stat.S_IMODE((tmp_path / "ssh_key").stat().st_mode) == 0o600


def test_certificates_verify_against_the_ca_and_are_kept(tmp_path: Path) -> None:
    names = ["tasks.staging.test", "*.staging.test"]
    trust.certificates(tmp_path / "tls", tmp_path / "ca.crt", names)
    first = (tmp_path / "tls" / "server.crt").read_bytes()
    trust.certificates(tmp_path / "tls", tmp_path / "ca.crt", names)
    assert (tmp_path / "tls" / "server.crt").read_bytes() == first
    leaf, _ = x509.load_pem_x509_certificates(first)
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes()))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        tmp_path / "tls" / "server.crt", tmp_path / "tls" / "server.key"
    )
    trust.certificates(tmp_path / "tls", tmp_path / "ca.crt", [*names, "hello.staging.test"])
    assert (tmp_path / "tls" / "server.crt").read_bytes() != first


def test_one_command_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    holder = (
        "import sys; from rehearsal import progress, state\n"
        "with state.lock(progress.Progress()): print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", holder]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=paths.ROOT) as other:
        assert other.stdout and other.stdout.readline() == "held\n"
        out = Progress(stream=io.StringIO())
        with pytest.raises(RehearsalError, match=f"pid {other.pid} "), state.lock(out, limit=0.2):
            pass
        other.kill()
        other.wait(5)
        with state.lock(out, limit=5):
            pass
