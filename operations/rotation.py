"""What ends a rotation of secrets: nothing of the old values is left to use, on the hosts or in the database."""

from __future__ import annotations

import json
import shlex
from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, StringCommand, deploy, operation
from pyinfra.api.state import StateStage

from changeover import logins
from changeover.live import Live
from changeover.plan import Plan
from changeover.record import Check
from changeover.secrets import Secrets
from changeover.settings import Postgres
from changeover.stack import ContainerSpec, containers, rolls_out
from facts.compose import SlotConfigs
from facts.host import SystemState
from operations import compose, flow, serving
from operations.database import Login, psql
from operations.files import tree
from operations.host_command import BINARY
from operations.stack import stack_files


def idle(plan: Plan, system: str, live: Live, specs: list[ContainerSpec]) -> list[ContainerSpec]:
    """The slots that a run leaves idle: the way back. Arguments: plan; system; what was live before; a host's slots."""
    role = "live" if rolls_out(plan, system, live) else "previous"
    return [spec for spec in specs if spec.slot and spec.role == role]


@deploy("rotation")
def stopped(system: str, txn: str, actor: str) -> None:
    """The idle slots are stopped, once what is open there had its time. Arguments: system; run's id; who runs it."""
    words = ["drain", system, "--txn", txn, "--by", actor]
    drained(name=f"{system}: the idle slots, which have the old secrets, are stopped", system=system, words=words)


@deploy("rotation")
def renewed(plan: Plan, system: str, name: str, live: Live, secrets: Secrets) -> None:
    """The idle slots would start with the new secrets. Arguments: plan; system; host; what was live; the secrets."""
    specs = containers(plan, system, name, live, secrets)
    found = idle(plan, system, live, specs)
    if not found:
        return
    files, directories = stack_files(plan, system, specs, found)
    # What was gone back to meanwhile is no idle slot: it would be stopped, and made anew.
    wanted = serving.served(plan, system, live)
    serving.unchanged(name=f"{system}: what serves is what this run confirmed", wanted=wanted)
    tree(name=f"{system}: secrets of the idle slots", files=files[1:], directories=directories)
    remade(
        name=f"{system}: idle slots are made anew with the new secrets",
        system=system,
        directory=plan.run_dir(system),
        wanted=configs(found),
    )


def configs(specs: list[ContainerSpec]) -> dict[str, str]:
    """{container: digest of its settings}. Argument: slots.

    Those without variables as well: a label of the old secrets would be new settings to the deploy after a way back.
    """
    return {spec.name: spec.body["labels"]["changeover.config"] for spec in specs}


@deploy("rotation")
def locked(plan: Plan, system: str, name: str, live: Live, secrets: Secrets) -> None:
    """No login of this host's databases works but those of the new passwords. Arguments: as in renewed."""
    for key, service in plan.services_on(system, name).items():
        if isinstance(service, Postgres):
            only(
                name=f"{system}: {service.database} has one login, that of the new password",
                system=system,
                container=f"{system}-{key}-1",
                service=service,
                login=Login(system, service, secrets),
                wanted=serving.served(plan, system, live, secrets),
            )


@operation()
def drained(system: str, words: list[str]) -> Generator[StringCommand]:
    """
    The idle slots do not run.

    + system: its name
    + words: of the draining
    """
    state = json.loads(host.get_fact(SystemState, system=system) or "{}")
    if state.get("retired") or not (state.get("release") or {}).get("previous"):
        host.noop("they are stopped")
        return
    yield StringCommand(shlex.join([BINARY, *words]))


@operation()
def remade(system: str, directory: str, wanted: dict[str, str]) -> Generator[StringCommand]:
    """
    Stopped containers are as compose.yaml says.

    + system: its name
    + directory: folder of compose.yaml
    + wanted: container -> the digest of its settings
    """
    found = host.get_fact(SlotConfigs, system=system)
    old = [name for name, digest in wanted.items() if found.get(name) != digest]
    if not old:
        host.noop("they are")
        return
    yield from compose.made._inner(directory=directory, services=old)


@operation()
def only(
    system: str, container: str, service: Postgres, login: Login, wanted: serving.Served
) -> Generator[StringCommand | FunctionCommand]:
    """
    Of a database's owner and its logins, this one alone can log in; sessions of the others are ended.

    + system: its name
    + container: the postgres container
    + service: its settings
    + login: the one that stays
    + wanted: what serves, with which secrets; asked anew right before
    """
    state = login.state(host, container, service)
    old = [role for role in state.logins if logins.is_login(service.owner, role, state.ours) and role != login.role]
    if not (state.login and state.superuser):
        yield flow.failure(
            [
                f"{login} cannot log in to {service.database}: nothing was locked, the old passwords work as before"
                + (f"; psql says: {state.why}" if state.why else ""),
                f"run: pyinfra INVENTORY deploy.py -y; look: docker logs {container}",
            ]
        )
        return
    seen = f"{login.role} logs in; " + (f"locked: {', '.join(old)}" if old else "there is no other")
    check = Check(
        item=f"{system}: {service.database} has one login",
        source="runbooks/rotate_secrets.py",
        verdict="pass",
        evidence=seen,
    )
    if not old:
        host.noop(f"{login} is the only one")
        noted(check)
        return
    if host.state.current_stage >= StateStage.Execute and (found := serving.reasons(host.state.inventory, wanted)):
        yield flow.failure(serving.told(wanted, found))
        return
    yield StringCommand(psql(container, service.database), _stdin=logins.lock_sql(service.owner, old))
    yield FunctionCommand(lambda state, host: noted(check), (), {})


def noted(check: Check) -> bool:
    """Puts a line into the record's checklist, once."""
    if check not in flow.CHECKS:
        flow.CHECKS.append(check)
    return True
