"""Containers by Docker Compose: started only when compose's own dry run says that something would change."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence

from pyinfra import host
from pyinfra.api import StringCommand, operation

from facts.compose import ComposePlan, compose_words, steady

LOG_LINES = 20
CONFINED = "read-only file system|operation not permitted|permission denied"
HINT = (
    "is it what the container may not do? folders to write to: tmpfs, to start programs from: tmpfs with :exec; "
    "its whole root: read_only; rights of root: capabilities (docs/security.md)"
)


@operation()
def up(directory: str, services: Sequence[str], timeout: int) -> Generator[StringCommand]:
    """
    Services of a compose project run and are healthy.

    + directory: folder of compose.yaml
    + services: which of its services; the others are left alone
    + timeout: seconds until all must be healthy; then the run fails with the last log lines
    """
    if not services:
        host.noop("nothing of this layer runs here")
        return
    plan = host.get_fact(ComposePlan, directory=directory, services=list(services))
    if steady(plan, len(services)):
        host.noop(f"{', '.join(services)}: running as they should")
        return
    words = shlex.join(services)
    base = " ".join(compose_words(directory))
    yield StringCommand(
        f"{base} up -d --no-deps --wait --wait-timeout {timeout} {words} || {{ code=$?;",
        f"echo '--- not up and healthy (limit {timeout} s); state and last lines of each:' >&2;",
        f"{base} ps -a --format 'table {{{{.Service}}}}\\t{{{{.Image}}}}\\t{{{{.Status}}}}' {words} >&2;",
        f"{base} logs --no-color --tail {LOG_LINES} {words} >&2;",
        f"{base} logs --no-color {words} 2>&1 | grep -qiE {shlex.quote(CONFINED)} && echo {shlex.quote(HINT)} >&2;",
        f"echo \"wanted images: $({base} config --images {words} | sort -u | tr '\\n' ' ')\" >&2; exit $code; }}",
    )


@operation()
def made(directory: str, services: Sequence[str]) -> Generator[StringCommand]:
    """
    Containers exist, with their images here, and are not started: nothing is left to fetch when they must be.

    + directory: folder of compose.yaml
    + services: which of its services
    """
    if not services:
        host.noop("the switch starts nothing of this layer here")
        return
    yield StringCommand(" ".join(compose_words(directory, "up", "--no-start", "--no-deps")), shlex.join(services))
