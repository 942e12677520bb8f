"""The database of a system: its owner role and extensions, and the schema at the release's version (S0, phase 0)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator

from pyinfra import host, inventory
from pyinfra.api import FunctionCommand, Host, StringCommand, deploy, operation

from changeover import gate_asks, hostconfig, logins
from changeover.fleet import Plan
from changeover.live import Live
from changeover.secrets import Secrets
from changeover.settings import Migrations, Postgres
from changeover.stack import containers, new_release, wanted_release
from changeover.strategy import strategy
from changeover.words import whole_seconds
from facts.compose import compose_words
from facts.postgres import Database, DatabaseState, passfile
from operations import before, flow, lease
from operations.stack import files_of_containers, given

WRONG = "password authentication failed"  # the server's words
END = 30  # seconds in which a migration's client ends when it is told to


@deploy("database")
def prepare(plan: Plan, system: str, name: str, secrets: Secrets) -> None:
    """Owner and extensions of the databases on this host.

    Arguments: the plan; names of system and host; where secrets come from.
    """
    for key, service in plan.services_on(system, name).items():
        if isinstance(service, Postgres):
            prepared(
                name=f"{system}: database {service.database}, its owner and extensions",
                container=f"{system}-{key}-1",
                service=service,
                login=Login(system, service, secrets),
            )
            if key in gate_asks.databases(plan, system):
                read(
                    name=f"{system}: database {service.database} can be read by gates",
                    container=f"{system}-{key}-1",
                    service=service,
                    login=Login(system, service, secrets),
                )


@deploy("database")
def migrate(plan: Plan, system: str, name: str, live: Live, secrets: Secrets) -> None:
    """The migrations, on the first host of the engine's service.

    Arguments: the plan; names of system and host; what is live; where secrets come from.
    """
    migrations = plan.systems[system].migrations
    if not migrations or plan.hosts_of(system, migrations.service)[0].name != name:
        return
    if not new_release(plan, system, live):  # a release that was gone back from may have left a newer schema: its own
        return
    given(name=f"{system}: the schema's release is staged", system=system)
    specs = containers(plan, system, name, live, secrets)
    files_of_containers(plan, system, name, live, secrets)
    if strategy(plan, system, live) == "recreate":
        lease.still_ours(name=f"{system}: what is stopped is stopped before the schema changes", system=system)
    within, release = whole_seconds(migrations.timeout), wanted_release(plan, system, live)
    migrated(
        system=system,
        name=flow.at_most(f"{system}: schema as release {release} wants it", within),
        directory=plan.run_dir(system),
        container=next(s.name for s in reversed(specs) if s.service == migrations.service and s.role != "previous"),
        look=Look(plan, system, migrations, secrets),
        timeout=within,
        failed=left(plan, system, live),
    )


def left(plan: Plan, system: str, live: Live) -> str:
    """What serves when a migration has failed, and the way on. Arguments: plan; system; what was live before it."""
    serves = f"{live.release.live} serves as before" if live.release.live else "nothing serves yet"
    if strategy(plan, system, live) == "recreate":
        serves = f"{live.release.live} was stopped for it, and comes back when this run ends"
    return f"nothing was switched; {serves}; mend the migration, then deploy again; sudo changeover status {system}"


class Login:
    """The role that applications log in as, and its password and the superuser's, which nothing prints."""

    def __init__(self, system: str, service: Postgres, secrets: Secrets):
        self.password = secrets.get(system, service.owner_secret)
        self.superuser = secrets.get(system, service.superuser_secret)
        self.role = logins.login(service.owner, self.password)

    def __repr__(self) -> str:
        return self.role

    def state(self, machine: Host, container: str, service: Postgres) -> Database:
        """The state of a database, and whether these passwords are right. Arguments: its host; container; settings."""
        return machine.get_fact(
            DatabaseState,
            container=container,
            database=service.database,
            role=self.role,
            _stdin=passfile({self.role: self.password, "postgres": self.superuser}),
        )


class Look:
    """Asks the database's host for the state of the schema, whichever host is being worked on."""

    def __init__(self, plan: Plan, system: str, migrations: Migrations, secrets: Secrets):
        service = plan.systems[system].services[migrations.database]
        assert isinstance(service, Postgres)
        self._host = plan.hosts_of(system, migrations.database)[0].name
        self._container = f"{system}-{migrations.database}-1"
        self._service = service
        self._login = Login(system, service, secrets)

    def __repr__(self) -> str:
        return f"the database in {self._container} on {self._host}"

    def __call__(self) -> Database:
        return self._login.state(inventory.get_host(self._host), self._container, self._service)


@operation()
def prepared(container: str, service: Postgres, login: Login) -> Generator[StringCommand | FunctionCommand]:
    """
    The login that belongs to the password works, its owner owns the database, and the extensions are there.

    + container: the postgres container
    + service: its settings
    + login: the role that applications log in as
    """
    state = login.state(host, container, service)
    missing = [e for e in service.extensions if e not in state.extensions]
    marked = login.role in state.ours
    if state.login and state.superuser and state.owner == service.owner and marked and not missing:
        host.noop(f"{login} logs in, {service.owner} owns {service.database}")
        return
    if login.role in state.logins and not state.login:
        yield flow.failure(taken(service, login, state.why))
        return
    made = [logins.verifier(password, os.urandom(16)) for password in (login.password, login.superuser)]
    yield StringCommand(psql(container, service.database), _stdin=logins.setup_sql(service, login.role, *made))


@operation()
def read(container: str, service: Postgres, login: Login) -> Generator[StringCommand | FunctionCommand]:
    """
    There is a role that may read everything, write nothing, and logs in from within the container only.

    + container: the postgres container
    + service: its settings
    + login: the role that applications log in as
    """
    state, role = login.state(host, container, service), logins.reader(service.owner)
    if role in state.logins and role in state.ours:
        host.noop(f"{role} reads {service.database}")
    elif role in state.logins:
        why = f"{role} is a role of {service.database} that was not made here, and gates read as one of that name"
        yield flow.failure([why, "nothing was changed; give that role another name, then run again"])
    else:
        yield StringCommand(psql(container, service.database), _stdin=logins.reader_sql(service))


def taken(service: Postgres, login: Login, why: str) -> list[str]:
    """What a person reads when a login is there and does not work. Arguments: settings; login; what psql said.

    Two passwords belong to one login once in 65536 changes, or a role of a team's own is named so.
    """
    if WRONG not in why:
        return [
            f"{login} cannot log in to {service.database}, and its password is not why: {why or 'psql said nothing'}",
            "nothing was changed; when that is mended (connections used up? pg_hba.conf?), run the same again",
        ]
    return [
        f"{login} is there with another password than {service.owner_secret} now has; what serves may log in with it",
        f"nothing was changed; give {service.owner_secret} another value, that of another login, and run again",
    ]


def psql(container: str, database: str) -> str:
    """A shell line that runs SQL from its standard input as the superuser. Arguments: container; database."""
    return f"docker exec -i {shlex.quote(container)} psql -q -v ON_ERROR_STOP=1 -U postgres -d {database} -f -"


@operation()
def migrated(
    system: str, directory: str, container: str, look: Look, timeout: int, failed: str
) -> Generator[StringCommand | FunctionCommand]:
    """
    The schema is at the release's version: Alembic runs once in the release's image, on one host.

    + system: its name
    + directory: folder of the compose project
    + container: the service in whose image and with whose secrets it runs
    + look: gives the schema's state
    + timeout: seconds for the upgrade
    + failed: what a person reads when it fails, beside why
    """
    if not look().login:
        yield flow.failure([f"{look} takes no login of its owner; run: pyinfra INVENTORY phases/database.py -y -vv"])
    yield from before.migrated(system, lambda: look().version)
    yield StringCommand(once(directory, container, ["alembic", "upgrade", "head"], timeout, failed))
    yield from before.migrated(system, lambda: look().version)


def once(directory: str, container: str, words: list[str], timeout: int, failed: str) -> str:
    """A shell line that runs words in a service's image, one at a time on this host.

    The container has a fixed name: when the control machine died, its migration may still run; it is waited for,
    not doubled. One that takes too long is ended itself, not only its client: a way back would wait for it.
    Arguments: the compose project's folder; the service; the words; seconds for each wait; what is said when they fail.
    """
    name = hostconfig.container(directory)
    run = shlex.join([*compose_words(directory, "run", "--rm", "--no-deps", "-T", "--name", name), container, *words])
    return (
        f"if docker inspect {name} >/dev/null 2>&1; then echo 'waiting for the migration of an earlier run';"
        f" timeout {timeout} docker wait {name} || {{ echo 'it still runs after {timeout} s;"
        f" look: docker logs {name}' >&2; exit 1; }}; docker rm -f {name} >/dev/null 2>&1; fi;"
        f" timeout -k {END} {timeout} {run} || {{ code=$?; case $code in"
        f" 124) echo 'the migration took longer than {timeout} s (migrations.timeout), and was ended' >&2;;"
        f" 137) echo 'the migration was killed: for want of memory, or after {timeout} s (migrations.timeout)' >&2;;"
        " esac;"
        f" case $code in 124|137) docker stop {name} >/dev/null 2>&1;; esac;"
        f" echo {shlex.quote(failed)} >&2; exit $code; }}"
    )
