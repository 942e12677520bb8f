"""The search for planted secrets sees the variables of processes on a rehearsal's hosts, and in containers on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.canaries import variables

HOST, CONTAINER = "0::/docker/ef7e/system.slice/ssh.service\n", "0::/docker/ef7e/docker/54a4\n"


@pytest.mark.parametrize(
    "cgroup, seen",
    [
        ("0::/user.slice\n", set()),
        (HOST, {"A=1", "PGPASSWORD=x", "POSTGRES_PASSWORD=x"}),
        (CONTAINER, {"A=1", "PGPASSWORD=x"}),
    ],
    ids=["this machine", "a host", "a container"],
)
def test_whose_variables_are_looked_at(tmp_path: Path, cgroup: str, seen: set[str]) -> None:
    (tmp_path / "cgroup").write_text(cgroup)
    (tmp_path / "environ").write_bytes(b"A=1\0PGPASSWORD=x\0POSTGRES_PASSWORD=x\0")
    assert variables(tmp_path) == seen
