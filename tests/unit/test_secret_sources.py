"""Files encrypted with age, and commands such as pass or op: real ones, and what each mistake is told as."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from plans import good, on_all

from changeover import fleet, secrets
from changeover.secrets import Secrets

VALUE = "hunter2 'and' more"
WANTED = [("shop", "TOKEN")]


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    """The identity's file, as age-keygen writes it."""
    key = pyrage.x25519.Identity.generate()
    file = tmp_path / "key.txt"
    file.write_text(f"# created: 2026-11-22\n# public key: {key.to_public()}\n{key}\n")
    file.chmod(0o600)
    return file


def recipient(identity: Path) -> pyrage.x25519.Recipient:
    return pyrage.x25519.Identity.from_str(identity.read_text().splitlines()[-1]).to_public()


@pytest.fixture
def encrypted(tmp_path: Path, identity: Path) -> Path:
    file = tmp_path / "staging.env.age"
    file.write_bytes(pyrage.encrypt(f"TOKEN={VALUE}\n".encode(), [recipient(identity)]))
    return file


def test_an_encrypted_file_is_read_and_may_be_in_git(encrypted: Path, identity: Path) -> None:
    encrypted.chmod(0o644)
    found = Secrets(encrypted, {}, identity)
    assert found.problems(WANTED) == []
    assert found.get("shop", "TOKEN") == VALUE
    assert VALUE not in f"{found!r} {vars(found).keys()}" and VALUE.encode() not in encrypted.read_bytes()


def test_the_armoured_form_and_an_ssh_key_do_too(tmp_path: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    file, identity = tmp_path / "a.age", tmp_path / "id_ed25519"
    identity.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    identity.chmod(0o600)
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    file.write_bytes(pyrage.encrypt(b"TOKEN=x\n", [pyrage.ssh.Recipient.from_str(line)], armored=True))
    assert Secrets(file, {}, identity).get("shop", "TOKEN") == "x"


def test_the_environment_names_the_identity_before_the_settings(encrypted: Path, identity: Path) -> None:
    found = Secrets(encrypted, {"CHANGEOVER_AGE_IDENTITY": str(identity)}, Path("/nonexistent"))
    assert found.get("shop", "TOKEN") == VALUE


def test_no_identity(encrypted: Path) -> None:
    why = "is encrypted with age, and no identity is named; set fleet.secrets_identity, or CHANGEOVER_AGE_IDENTITY=FILE"
    assert Secrets(encrypted, {}).problems(WANTED) == [f"{encrypted}  {why} in the environment"]


def test_an_identity_that_is_not_there_or_not_private(encrypted: Path, identity: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    said = f"{nowhere}  cannot be read: No such file or directory; it is the age identity that opens {encrypted}"
    assert Secrets(encrypted, {}, nowhere).problems(WANTED) == [said]
    identity.chmod(0o640)
    said = f"{identity}  is readable by others (mode 0640); run: chmod 600 {identity}"
    assert Secrets(encrypted, {}, identity).problems(WANTED) == [said]


@pytest.mark.parametrize("text", ["", "AGE-SECRET-KEY-1ABC\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "# only\n"])
def test_an_identity_that_is_none(encrypted: Path, identity: Path, text: str) -> None:
    identity.write_text(text)
    said = "is no age identity: it must hold a line AGE-SECRET-KEY-1..., or an SSH key without a passphrase"
    assert Secrets(encrypted, {}, identity).problems(WANTED) == [f"{identity}  {said}"]


def test_a_file_for_another_identity_or_a_damaged_one(encrypted: Path, identity: Path) -> None:
    said = (
        f"{encrypted}  is damaged, or not encrypted for the identity in {identity}; "
        f"encrypt it for this identity too (age-keygen -y {identity})"
    )
    encrypted.write_bytes(encrypted.read_bytes()[:-3])
    assert Secrets(encrypted, {}, identity).problems(WANTED) == [said]
    encrypted.write_bytes(pyrage.encrypt(b"TOKEN=x\n", [pyrage.x25519.Identity.generate().to_public()]))
    assert Secrets(encrypted, {}, identity).problems(WANTED) == [said]


def test_a_line_in_an_encrypted_file_is_named_by_number(encrypted: Path, identity: Path) -> None:
    encrypted.write_bytes(pyrage.encrypt(b"A=1\nhunter2\n", [recipient(identity)]))
    assert Secrets(encrypted, {}, identity).problems(WANTED) == [f"{encrypted}  line 2 is no NAME=value"]


# Commands. Each is a real one, on this machine.


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that stands for a password store: a file a secret."""
    for name, text in {"shop/TOKEN": f"{VALUE}\n", "hello/TOKEN": "other\n", "shop/PEM": "a\nb\n\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def asks(store: Path, *words: str, limit: float = 10, **environ: str) -> Secrets:
    return Secrets(store / "none.env", environ, command=words, timeout=limit, environment="staging")


def test_a_command_is_asked_for_what_is_nowhere_else(store: Path) -> None:
    found = asks(store, "cat", f"{store}/{{system}}/{{name}}")
    assert found.problems([*WANTED, ("hello", "TOKEN"), ("shop", "PEM")]) == []
    assert found.get("shop", "TOKEN") == VALUE and found.get("hello", "TOKEN") == "other"
    assert found.get("shop", "PEM") == "a\nb\n", "one line break is the command's, the rest the value's"
    assert asks(store, "false", "{name}", TOKEN="environment").get("shop", "TOKEN") == "environment"
    assert asks(store, "echo", "{environment}/{system}/{name}").get("shop", "TOKEN") == "staging/shop/TOKEN"


def test_a_command_is_asked_once(store: Path) -> None:
    found = asks(store, "sh", "-c", f"echo asked >> {store}/log; echo value", "{name}")
    assert found.problems(WANTED) == []
    assert found.get("shop", "TOKEN") == found.get("shop", "TOKEN") == "value"
    assert (store / "log").read_text() == "asked\n"


NOWHERE = "secret TOKEN (system shop) is in neither the environment nor {store}/none.env, and "


@pytest.mark.parametrize(
    "words, why",
    [
        (["no-such-program", "{name}"], "no-such-program TOKEN cannot be started: No such file or directory"),
        (
            ["sh", "-c", "echo hunter2; echo hunter2 >&2; exit 3", "{name}"],
            "sh -c 'echo hunter2; echo hunter2 >&2; exit 3' TOKEN ended with exit code 3; run it by hand to see why",
        ),
        (["true", "{name}"], "true TOKEN printed nothing"),
        (["printf", "\\377", "{name}"], "printf '\\377' TOKEN printed no UTF-8 text"),
        (["printf", "a\\000b", "{name}"], "printf 'a\\000b' TOKEN printed no UTF-8 text"),
    ],
)
def test_what_is_said_when_a_command_gives_no_value(store: Path, words: list[str], why: str) -> None:
    assert asks(store, *words).problems(WANTED) == [NOWHERE.format(store=store) + why]


def test_its_output_is_never_shown(store: Path) -> None:
    (store / "ask").write_text("#!/bin/sh\necho hunter2\necho hunter2 >&2\nexit 1\n")
    (store / "ask").chmod(0o700)
    (line,) = asks(store, f"{store}/ask", "{name}").problems(WANTED)
    assert "hunter2" not in line and f"{store}/ask TOKEN ended with exit code 1" in line


@pytest.fixture
def slow(store: Path) -> Iterator[Path]:
    """A command that never answers, with a child that holds its output open."""
    (store / "ask").write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {store}/child\nsleep 60\n")
    (store / "ask").chmod(0o700)
    yield store


def test_a_command_that_hangs_is_ended_with_its_children_and_not_asked_again(slow: Path) -> None:
    began = time.monotonic()
    lines = asks(slow, f"{slow}/ask", "{name}", limit=0.5).problems([*WANTED, ("shop", "PEM")])
    assert time.monotonic() - began < 5
    assert lines[0].endswith(f"and {slow}/ask TOKEN took over 0.5 s (fleet.secrets_timeout)")
    assert lines[1].endswith("and the command was not asked for it, as it took too long for another")
    child = int((slow / "child").read_text())
    while time.monotonic() - began < 5 and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_the_settings_say_where(store: Path) -> None:
    hosts = good()
    on_all("fleet.secrets_command", ["cat", f"{store}/{{system}}/{{name}}"])(hosts)
    on_all("fleet.secrets_identity", "keys/age.txt")(hosts)
    found = secrets.of(fleet.load(hosts), store)
    assert found.file == store / "secrets/staging.env"
    assert found.get("shop", "TOKEN") == VALUE
