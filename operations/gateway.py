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
from facts.host import Link, Names
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

    What is live stays so: a slot is changed by a switch, never by a deploy's files. Only a service that is new is
    added, in a generation of its own, so that nginx sees all of it or nothing.

    + directory: the system's folder below slots/
    + wanted: service -> slot where it has none yet
    """
    if not wanted:
        host.noop("no service has slots")
        return
    live = {mark.partition(".")[0] for mark in host.get_fact(Names, path=f"{directory}/live")}
    marks = " ".join(shlex.quote(f"{service}.{slot}") for service, slot in wanted.items() if service not in live)
    if not marks:
        host.noop(f"{', '.join(wanted)}: live already")
        return
    yield StringCommand(
        f"cd {shlex.quote(directory)} && old=$(readlink live || echo 0) && new=$((old + 1)) && rm -rf .new $new",
        "&& mkdir .new && if [ -d live ]; then cp -p live/* .new/; fi",
        f"&& (cd .new && touch {marks}) && mv -T .new $new",
        "&& ln -sfn $new .live.new && mv -T .live.new live && sync .",
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
