"""The gateway of an edge host: nginx, a server file per system, and a symlink that says which slots are live."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, deploy, operation

from changeover import gateway
from changeover.files import digest_of
from changeover.fleet import Plan
from changeover.live import Live, installed
from changeover.stack import slotted, wanted_release
from facts.compose import compose_words
from facts.host import Link
from operations import compose
from operations.files import tree


@deploy("gateway")
def serve(plan: Plan, name: str, live: dict[str, Live]) -> None:
    """nginx runs with the right configuration and each system's slots.

    Arguments: the plan; this host's name; what is live of the systems that it serves.
    """
    files = gateway.files(plan, name)
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
    for system in host.loop(gateway.systems(plan, name)):
        release = wanted_release(plan, system, live[system])
        state = installed(live[system], release, slotted(plan, system), None)
        slots(
            name=f"{system}: slots",
            directory=f"{base}/slots/{system}",
            wanted=gateway.generation(state),
        )
    compose.up(name="nginx runs and is healthy", directory=base, services=["nginx"], timeout=60)
    loaded(name="nginx has loaded its configuration", directory=base, digest=digest_of(files))


@operation()
def slots(directory: str, wanted: dict[str, str]) -> Generator[StringCommand]:
    """
    The system has a live generation: a symlink to a folder with one empty file `<service>.<slot>` per service.

    An existing one is left alone: the live slot is changed by a switch, never by a deploy's files.

    + directory: the system's folder below slots/
    + wanted: service -> slot of the first generation
    """
    if not wanted:
        host.noop("no service has slots")
        return
    if target := host.get_fact(Link, path=f"{directory}/live"):
        host.noop(f"{target} is live")
        return
    path = shlex.quote(directory)
    marks = " ".join(shlex.quote(f"{service}.{slot}") for service, slot in wanted.items())
    yield StringCommand(
        f"cd {path} && rm -rf .1.new 1 && mkdir .1.new && (cd .1.new && touch {marks}) && mv -T .1.new 1",
        "&& ln -sfn 1 .live.new && mv -T .live.new live && sync .",
    )


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
