"""A system's containers on a host, layer by layer: each layer starts when the one below is healthy everywhere.

pyinfra's operations are barriers: a layer's operation ends on all hosts before the next layer's begins on any.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra.api import FunctionCommand, deploy, operation

from changeover.files import Directory, File, render
from changeover.fleet import Plan
from changeover.live import Live
from changeover.networks import bridge
from changeover.secrets import Secrets
from changeover.settings import App, Service
from changeover.stack import ContainerSpec, containers, rolls_out
from changeover.strategy import strategy
from changeover.words import whole_seconds
from operations import compose, flow, images, lease, ready
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
    chosen = [s for s in specs if s.layer == number and s.role != "previous" and (not only or s.service in only)]
    if not chosen:
        return
    services = plan.systems[system].services
    in_layer = [key for key in services if services[key].layer == number and (not only or key in only)]
    in_turn = strategy(plan, system, live) == "rolling"  # then each host's are started when it is its turn
    waiting = [s for s in chosen if s.role == "candidate" and (in_turn or not takes_traffic(services[s.service]))]
    # While a release or settings roll out, what is live stays as it is: compose.yaml may hold newer settings for it.
    as_it_is = [s for s in chosen if s.slot and s.role == "live" and rolls_out(plan, system, live)]
    running = [s for s in chosen if s not in waiting and s not in as_it_is]
    if rolls_out(plan, system, live) and any(s.role == "candidate" for s in chosen):
        given(name=f"{system}: the idle slots of layer {number} are the release's", system=system)
    files_of_containers(plan, system, host, live, secrets, number)
    compose.made(
        name=f"{system}: layer {number} has what the switch starts",
        directory=plan.run_dir(system),
        services=[s.name for s in waiting],
    )
    if strategy(plan, system, live) == "recreate" and any(s.role == "candidate" for s in running):
        lease.still_ours(name=f"{system}: layer {number} starts beside nothing", system=system)
    within = max(s.start_timeout for s in chosen)
    compose.up(
        name=flow.at_most(f"{system}: layer {number} is up and healthy ({', '.join(in_layer)})", within),
        directory=plan.run_dir(system),
        services=[s.name for s in running],
        timeout=within,
    )
    checks = ready_checks(plan, system, host, running)
    name = flow.at_most(f"{system}: layer {number} is ready", sum(one["limit"] for one in checks))
    ready.answers(name=name, checks=checks)


@deploy("stack")
def made(plan: Plan, system: str, host: str, live: Live, secrets: Secrets) -> None:
    """All candidates of a host exist, with their images, and do not run. Arguments as in layer."""
    specs = containers(plan, system, host, live, secrets)
    candidates = [spec.name for spec in specs if spec.role == "candidate" and spec.slot]
    if candidates:
        given(name=f"{system}: the idle slots are the release's", system=system)
        files_of_containers(plan, system, host, live, secrets)
        base = plan.run_dir(system)
        compose.made(name=f"{system}: what replaces the old release is here", directory=base, services=candidates)


@deploy("stack")
def candidates(plan: Plan, system: str, host: str, live: Live, secrets: Secrets) -> None:
    """The candidates of one host that take traffic run and are ready. Arguments as in layer."""
    services = plan.systems[system].services
    specs = containers(plan, system, host, live, secrets)
    chosen = [s for s in specs if s.role == "candidate" and s.slot and takes_traffic(services[s.service])]
    if chosen:
        given(name=f"{system}: the idle slots of {host} are the release's", system=system)
        lease.still_ours(name=f"{system}: {host}'s turn has come", system=system)
        within, names = max(s.start_timeout for s in chosen), ", ".join(s.service for s in chosen)
        compose.up(
            name=flow.at_most(f"{system}: {chosen[0].release} is up and healthy ({names})", within),
            directory=plan.run_dir(system),
            services=[s.name for s in chosen],
            timeout=within,
        )
        checks = ready_checks(plan, system, host, chosen)
        name = flow.at_most(f"{system}: {chosen[0].release} is ready", sum(one["limit"] for one in checks))
        ready.answers(name=name, checks=checks)


@operation(is_idempotent=False)
def given(system: str) -> Generator[FunctionCommand]:
    """
    This run has staged what it starts; else the idle slots may be the way back, and stay as they are.

    + system: its name
    """

    def look(state: Any, host: Any) -> bool:
        return system in images.RECORDED or flow.fail_here(host, unstaged(system))

    yield FunctionCommand(look, (), {})


def unstaged(system: str) -> list[str]:
    """What a person reads when a phase alone would start or migrate what no slot was given to."""
    return [
        f"{system}: this run has not staged what it would start: the idle slots may hold the release before",
        "they stay as they are; all phases in their order do it: pyinfra INVENTORY deploy.py -y",
    ]


def files_of_containers(
    plan: Plan, system: str, host: str, live: Live, secrets: Secrets, number: int | None = None
) -> None:
    """compose.yaml and the secrets of a system on a host; made when they are put there, as images are known by then.

    With the number of a layer, the secrets of that layer alone: those above may need a login that is not made yet.
    """

    def found(live: Live) -> tuple[list[File], list[Directory]]:
        specs = containers(plan, system, host, live, secrets)
        fresh = [s for s in to_start(plan, system, live, specs) if number in (None, s.layer)]
        return stack_files(plan, system, specs, fresh)

    tree(
        name=f"{system}: files of its containers",
        files=lambda: found(images.known(system, live))[0],
        directories=found(live)[1],
    )


def to_start(plan: Plan, system: str, live: Live, specs: Sequence[ContainerSpec]) -> list[ContainerSpec]:
    """The containers whose secrets a run may change: not those of what goes on as it is, nor of the way back.

    A slot's secrets are its own: what serves starts again with those that it was released with, whatever becomes of
    the release that is on its way.
    """
    kept = {"previous", "live"} if rolls_out(plan, system, live) else {"previous"}
    return [spec for spec in specs if not spec.slot or spec.role not in kept]


def takes_traffic(service: Service) -> bool:
    """Whether the gateway moves requests to it; other services with slots are started and stopped by the switch."""
    return isinstance(service, App) and service.slots is not None


def ready_checks(plan: Plan, system: str, host: str, specs: Sequence[ContainerSpec]) -> list[dict[str, Any]]:
    """What the candidates with `ready` must answer on this host, on their own ports."""
    checks = []
    for spec in specs:
        service = plan.systems[system].services[spec.service]
        if spec.role == "candidate" and isinstance(service, App) and service.ready and spec.slot and service.slots:
            port = getattr(service.slots, spec.slot)
            url = f"http://{plan.hosts[host].address}:{port}{service.ready.http}"
            limit = whole_seconds(service.ready.timeout)
            checks.append({"name": spec.name, "url": url, "json": service.ready.json_, "limit": limit})
    return checks


def in_file(specs: Sequence[ContainerSpec]) -> list[ContainerSpec]:
    """The containers in the order of services and slots, not of roles: a switch alone changes no file."""
    services = list(dict.fromkeys(spec.service for spec in specs))
    return sorted(specs, key=lambda spec: (services.index(spec.service), spec.slot or ""))


def stack_files(
    plan: Plan, system: str, specs: Sequence[ContainerSpec], fresh: Sequence[ContainerSpec] | None = None
) -> tuple[list[File], list[Directory]]:
    """The compose file of all containers, and the secrets of the fresh ones (default: all), with their folders."""
    base = plan.run_dir(system)
    fresh = specs if fresh is None else fresh
    volumes = sorted({v.split(":")[0] for spec in specs for v in spec.body.get("volumes", [])})
    text = render(
        "compose/compose.yaml.j2",
        system=system,
        containers=in_file(specs),
        networks={name: bridge(system, name) for spec in specs for name in spec.body["networks"]},
        secrets={f"{s.name}.{one.name}": path_of(base, s, one.name) for s in in_file(specs) for one in s.secrets},
        volumes=[volume for volume in volumes if not volume.startswith("/")],
    )
    # Root's alone: its labels hold digests of the secrets, which whoever reads them may try values on.
    files = [File(f"{base}/compose.yaml", text, mode="600")]
    for spec in fresh:
        for secret in spec.secrets:
            owner = str(secret.uid or "root")
            files.append(File(path_of(base, spec, secret.name), secret.value, mode="400", owner=owner, group=owner))
        if spec.variables:
            lines = "".join(f"{one.name}={env_value(one.value)}\n" for one in spec.variables)
            files.append(File(f"{base}/secrets/{spec.name}.env", lines, mode="400"))
    folders = [f"{base}/secrets/{spec.name}" for spec in fresh if spec.secrets]
    kept = [f"{base}/secrets", *folders] if len(files) > 1 else []
    return files, [Directory(base), *(Directory(folder, "700") for folder in kept)]


def path_of(base: str, spec: ContainerSpec, secret: str) -> str:
    """Where a secret of a container lies on its host. Arguments: the system's folder; the container; the name."""
    return f"{base}/secrets/{spec.name}/{secret}"


def env_value(value: str) -> str:
    """A value in a file of variables as compose reads it: in double quotes nothing but these is filled in."""
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("$", "\\$"), ("\n", "\\n")):
        value = value.replace(plain, written)
    return f'"{value}"'
