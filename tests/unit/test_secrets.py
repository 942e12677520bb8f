"""Secrets come from the environment, one file, a command; what is missing is named, and no value is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from changeover.secret_sources import read_env
from changeover.secrets import Mask, Secrets

VALUE = "hunter2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "staging.env"
    made.write_text(f"TOKEN={VALUE}\n")
    made.chmod(0o600)
    return made


def test_lines_of_the_file() -> None:
    text = "# comment\n\nA=1\n B = two words \nexport C='quoted # here'\nD=\"x\"\nE=a=b==\nF=\n# G=1\nH='\r\n"
    assert read_env(text) == {
        "A": "1",
        "B": "two words",
        "C": "quoted # here",
        "D": "x",
        "E": "a=b==",
        "F": "",
        "H": "'",
    }


@pytest.mark.parametrize("text", ["A=1\nno value here hunter2\n", "A=1\nB C=hunter2\n", "A=1\nhunter2: x\n"])
def test_a_line_that_is_none_is_named_by_number_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError) as error:
        read_env(text)
    assert str(error.value) == "line 2 is no NAME=value"


def test_a_value_keeps_what_is_a_line_break_to_others() -> None:
    assert read_env("A=one\x0btwo\u2028three\n") == {"A": "one\x0btwo\u2028three"}


def test_order_of_the_sources(file: Path) -> None:
    file.write_text("TOKEN=plain\nSHOP_TOKEN=of the shop\n")
    assert Secrets(file, {}).get("hello", "TOKEN") == "plain"
    assert Secrets(file, {}).get("shop", "TOKEN") == "of the shop"
    assert Secrets(file, {"TOKEN": "environment"}).get("hello", "TOKEN") == "environment"
    assert Secrets(file, {"SHOP_TOKEN": "environment"}).get("shop", "TOKEN") == "environment"


def test_what_is_there_is_no_problem(file: Path) -> None:
    assert Secrets(file, {}).problems([("shop", "TOKEN")]) == []


def test_no_file_is_no_problem_when_the_environment_has_all(tmp_path: Path) -> None:
    assert Secrets(tmp_path / "none", {"TOKEN": "x"}).problems([("shop", "TOKEN")]) == []


def test_each_missing_one_is_named_with_its_system(file: Path) -> None:
    file.write_text("EMPTY=\n")
    assert Secrets(file, {}).problems([("shop", "PASSWORD"), ("hello", "EMPTY")]) == [
        f"secret PASSWORD (system shop) is in neither the environment nor {file}",
        f"secret EMPTY (system hello) is in neither the environment nor {file}",
    ]
    with pytest.raises(KeyError, match=r"secret PASSWORD \(system shop\) is in neither"):
        Secrets(file, {}).get("shop", "PASSWORD")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert Secrets(file, {}).problems([("shop", "TOKEN")]) == [
        f"{file}  is readable by others (mode {mode:04o}); run: chmod 600 {file}"
    ]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    assert Secrets(folder, {}).problems([("shop", "TOKEN")]) == [f"{folder}  cannot be read: Is a directory"]
    file.write_text("TOKEN: hunter2\n")
    assert Secrets(file, {}).problems([("shop", "TOKEN")]) == [f"{file}  line 1 is no NAME=value"]


def test_a_file_in_another_encoding_is_one_line(file: Path) -> None:
    file.write_bytes(b"TOKEN=caf\xe9\n")
    (line,) = Secrets(file, {}).problems([("shop", "TOKEN")])
    assert line == f"{file}  is no UTF-8 text"


def test_a_file_from_windows_is_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfTOKEN=x\r\n")
    assert Secrets(file, {}).get("shop", "TOKEN") == "x"


def test_nothing_shows_a_value(file: Path) -> None:
    secrets = Secrets(file, {})
    assert secrets.get("shop", "TOKEN") == VALUE
    assert VALUE not in f"{secrets!r} {secrets} {secrets.problems([('shop', 'X')])}"


def test_values_are_masked_as_they_are_and_as_a_url_holds_them():
    mask = Mask(["s3cr3t/@word", "abc", "longer-s3cr3t/@word"])
    shown = mask("DSN postgres://me:s3cr3t%2F%40word@db failed; s3cr3t/@word; longer-s3cr3t/@word; abc")
    assert "s3cr3t" not in shown
    assert shown == "DSN postgres://me:*MASKED*@db failed; *MASKED*; *MASKED*; abc", "three letters are no secret"


def test_each_line_of_a_value_is_masked_and_each_way_it_is_written():
    mask = Mask(["-----BEGIN KEY-----\nfirst+line\nlast'line\n", 'a"b\\c"d'])
    shown = mask('first+line | last\'line | last\'\'line | {"key": "a\\"b\\\\c\\"d"} | a"b\\c"d | first%2Bline')
    assert shown == '*MASKED* | *MASKED* | *MASKED* | {"key": "*MASKED*"} | *MASKED* | *MASKED*'
