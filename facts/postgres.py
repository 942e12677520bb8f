"""What a PostgreSQL container holds: its owner role, extensions, and the schema version of the migrations."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from pyinfra.api import FactBase


@dataclass(frozen=True)
class Database:
    """`login`, `superuser`: these can log in with the wanted passwords. `logins`: all roles that may log in.

    `version`: Alembic's, empty before the first upgrade.
    """

    login: bool = False
    superuser: bool = False
    owner: str = ""
    extensions: tuple[str, ...] = ()
    version: str = ""
    logins: tuple[str, ...] = ()


class DatabaseState(FactBase[Database]):
    """One look into a container. The passwords of the login and of the superuser come on stdin (`_stdin=`), a line
    each, so that they are in no argv.
    """

    def requires_command(self, container: str, database: str, role: str) -> str:
        return "docker"

    def command(self, container: str, database: str, role: str) -> str:
        """Never fails: a container that does not run has nothing.

        The logins go to the container's own address: on its loopback the official image trusts everybody.
        """
        tried = {role: "login", "postgres": "superuser"}
        script = "".join(
            "IFS= read -r PGPASSWORD; export PGPASSWORD; "
            f"psql -w -h $(hostname -i) -U {name} -d {database} -Atqc \"select '{word} ok'\" 2>/dev/null; "
            for name, word in tried.items()
        ) + (
            "unset PGPASSWORD; "
            f"psql -U postgres -d {database} -Atq -v ON_ERROR_STOP=0 "
            "-c \"select 'owner ' || pg_get_userbyid(datdba) from pg_database where datname = current_database()\" "
            "-c \"select 'extension ' || extname from pg_extension\" "
            "-c \"select 'role ' || rolname from pg_roles where rolcanlogin order by 1\" "
            "-c \"select 'version ' || version_num from alembic_version\" 2>/dev/null"
        )
        return f"docker exec -i {shlex.quote(container)} sh -c {shlex.quote(script)} 2>/dev/null || true"

    @staticmethod
    def default() -> Database:
        return Database()

    def process(self, output: list[str]) -> Database:
        pairs = [line.partition(" ")[::2] for line in output]
        first = {key: value for key, value in reversed(pairs)}
        return Database(
            login=first.get("login") == "ok",
            superuser=first.get("superuser") == "ok",
            owner=first.get("owner", ""),
            extensions=tuple(value for key, value in pairs if key == "extension"),
            version=",".join(sorted(value for key, value in pairs if key == "version")),
            logins=tuple(value for key, value in pairs if key == "role"),
        )
