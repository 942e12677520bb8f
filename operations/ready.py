"""Readiness: an idle slot answers as it must, body and all, before traffic goes there."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from operations.files import python


@operation(is_idempotent=False)
def answers(checks: list[dict[str, Any]]) -> Generator[StringCommand]:
    """
    Each candidate answers 200 with the wanted keys in its body, within its limit; else the run stops with the answer.

    + checks: {"name", "url", "json": wanted keys, "limit": seconds}
    """
    if not checks:
        host.noop("no candidate here is asked")
        return
    yield python("ready", json.dumps(checks))
