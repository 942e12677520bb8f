"""A system's containers on a host, layer by layer: each layer starts when the one below is healthy everywhere.

pyinfra's operations are barriers: a layer's operation ends on all hosts before the next layer's begins on any.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra.api import deploy

from changeover.files import Directory, File, render
from changeover.fleet import Plan
from changeover.live import Live
from changeover.secrets import Secrets
from changeover.stack import ContainerSpec, containers
from operations import compose
from operations.files import tree


@deploy("stack")
def layer(
    plan: Plan, system: str, host: str, live: Live, secrets: Secrets, number: int, only: Sequence[str] = ()
) -> None:
    """The containers of one layer run and are healthy.

    Arguments: the plan; names of system and host; what is live; where secrets come from; the layer (1 to 3);
    service names to limit it to (empty: all).
    """
    specs = containers(plan, system, host, live, secrets)
    chosen = [s for s in specs if s.layer == number and (not only or s.service in only)]
    if not chosen:
        return
    files, directories = stack_files(plan, system, specs)
    tree(name=f"{system}: files of its containers", files=files, directories=directories)
    services = plan.systems[system].services
    in_layer = [key for key in services if services[key].layer == number and (not only or key in only)]
    compose.up(
        name=f"{system}: layer {number} is up and healthy ({', '.join(in_layer)})",
        directory=plan.run_dir(system),
        services=[s.name for s in chosen],
        timeout=max(s.start_timeout for s in chosen),
    )


def stack_files(plan: Plan, system: str, specs: Sequence[ContainerSpec]) -> tuple[list[File], list[Directory]]:
    """The compose file and the secrets of all its containers, with their folders."""
    base = plan.run_dir(system)
    secrets = {
        f"{spec.service}.{secret.name}": (f"{base}/secrets/{spec.service}/{secret.name}", secret)
        for spec in specs
        for secret in spec.secrets
    }
    volumes = sorted({v.split(":")[0] for spec in specs for v in spec.body.get("volumes", [])})
    text = render(
        "compose/compose.yaml.j2",
        system=system,
        containers=specs,
        secrets={name: path for name, (path, _) in secrets.items()},
        volumes=[volume for volume in volumes if not volume.startswith("/")],
    )
    owners = {name: str(secret.uid or "root") for name, (_, secret) in secrets.items()}
    files = [
        File(path, secret.value, mode="400", owner=owners[name], group=owners[name])
        for name, (path, secret) in secrets.items()
    ]
    folders = dict.fromkeys(spec.service for spec in specs if spec.secrets)
    directories = [Directory(base)]
    if files:
        directories += [
            Directory(f"{base}/secrets", "700"),
            *(Directory(f"{base}/secrets/{f}", "700") for f in folders),
        ]
    return [File(f"{base}/compose.yaml", text), *files], directories
