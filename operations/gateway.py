"""The gateway of an edge host: nginx, a server file per system, and a symlink that says which slots are live."""

from __future__ import annotations

from collections.abc import Collection, Generator

from pyinfra import host
from pyinfra.api import StringCommand, deploy, operation

from changeover import gateway
from changeover.files import digest_of
from changeover.fleet import Plan
from changeover.secrets import Secrets
from facts.compose import compose_words
from facts.host import Link
from operations import compose
from operations.files import tree


@deploy("gateway")
def serve(plan: Plan, name: str, secrets: Secrets, plain: Collection[str] = ()) -> None:
    """nginx runs with the right configuration; which slot is live is the host command's to say.

    Arguments: the plan; this host's name; where secrets come from; systems that have no certificate yet, and no HTTPS
    until they do.
    """
    files = gateway.files(plan, name, plain, secrets)
    base = plan.fleet.gateway.run_dir
    compose_file = gateway.compose(plan)
    tree(
        name="folders and compose file",
        files=[compose_file],
        directories=gateway.directories(plan, name),
    )
    tree(
        name="nginx configuration, checked by nginx",
        files=files,
        check_root=f"{base}/conf",
        check_command=gateway.check_command(plan),
    )
    compose.up(name="nginx runs and is healthy", directory=base, services=["nginx"], timeout=60)
    loaded(name="nginx has loaded its configuration", directory=base, digest=digest_of(files))


@operation()
def loaded(directory: str, digest: str) -> Generator[StringCommand]:
    """
    nginx has loaded the configuration with this digest; it is reloaded when it has not.

    Not wired to the writing of the files, so that a run that was killed between the two is mended by the next.

    + directory: the gateway's folder
    + digest: of the configuration's files
    """
    mark = f"{directory}/loaded"
    if host.get_fact(Link, path=mark) == digest:
        host.noop("nginx has loaded what lies there")
        return
    reload = " ".join(compose_words(directory, "exec", "-T", "nginx", "nginx", "-c", f"{gateway.CONF}/nginx.conf"))
    yield StringCommand(f"{reload} -s reload && ln -sfn {digest} {mark}.new && mv -T {mark}.new {mark}")
