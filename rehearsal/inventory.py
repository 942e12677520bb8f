"""The rehearsal's hosts in pyinfra's form, read from .rehearsal/status.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyinfra.api.exceptions import PyinfraError

STATUS = Path(__file__).resolve().parent.parent / ".rehearsal" / "status.json"


def hosts(*names: str) -> list[tuple[str, dict[str, Any]]]:
    """(name, data) for each host, as an inventory file wants them.

    Raises PyinfraError (one line, exit code 1) when the rehearsal is not up or has no such host.
    """
    if not STATUS.exists():
        raise PyinfraError("the rehearsal's hosts are not up; run: make rehearsal")
    status = json.loads(STATUS.read_text())
    if missing := [name for name in names if name not in status["hosts"]]:
        raise PyinfraError(f"the rehearsal has no host {', '.join(missing)}; run: python -m rehearsal up")
    return [(name, _data(status, name)) for name in names]


def _data(status: dict[str, Any], name: str) -> dict[str, Any]:
    host, ssh = status["hosts"][name], status["ssh"]
    return {
        "address": host["address"],
        "ssh_hostname": host["ssh_hostname"],
        "ssh_port": host["ssh_port"],
        "ssh_user": ssh["user"],
        "ssh_key": ssh["key"],
        "ssh_known_hosts_file": ssh["known_hosts"],
        "ssh_strict_host_key_checking": "yes",
        "_sudo": True,
    }
