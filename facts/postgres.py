"""What a PostgreSQL container holds: its owner role, extensions, and the schema version of the migrations."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pyinfra.api import FactBase

from changeover.logins import MARK

FOLDER = "/var/run/postgresql"  # in memory, and the server's own (changeover/confine.py)


@dataclass(frozen=True)
class Database:
    """`login`, `superuser`: these can log in with the wanted passwords; `why`: what psql said where the login cannot.

    `logins`: all roles that may log in; `ours`: those that are marked as made here. `version`: Alembic's, empty before
    the first upgrade.
    """

    login: bool = False
    superuser: bool = False
    owner: str = ""
    extensions: tuple[str, ...] = ()
    version: str = ""
    logins: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    why: str = ""


class DatabaseState(FactBase[Database]):
    """One look into a container. The passwords of the login and of the superuser come on stdin (`_stdin=`), as
    passfile() writes them, so that they are in no argv and in no variable.
    """

    def requires_command(self, container: str, database: str, role: str) -> str:
        return "docker"

    def command(self, container: str, database: str, role: str) -> str:
        """Never fails: a container that does not run has nothing.

        The logins go to the container's own address: on its loopback the official image trusts everybody.
        """
        tried = {role: "login", "postgres": "superuser"}
        script = (
            f"umask 077; PGPASSFILE=$(mktemp {FOLDER}/.pass.XXXXXX) && export PGPASSFILE && cat > $PGPASSFILE; "
            + "".join(
                f"psql -w -h $(hostname -i) -U {name} -d {database} -Atqc \"select 'ok'\" 2>&1 | sed 's/^/{word} /'; "
                for name, word in tried.items()
            )
            + "rm -f $PGPASSFILE; unset PGPASSFILE; "
            f"psql -U postgres -d {database} -Atq -v ON_ERROR_STOP=0 "
            "-c \"select 'owner ' || pg_get_userbyid(datdba) from pg_database where datname = current_database()\" "
            "-c \"select 'extension ' || extname from pg_extension\" "
            "-c \"select 'role ' || rolname from pg_roles where rolcanlogin order by 1\" "
            f"-c \"select 'ours ' || rolname from pg_roles where shobj_description(oid, 'pg_authid') = '{MARK}'\" "
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
            login=("login", "ok") in pairs,
            superuser=("superuser", "ok") in pairs,
            owner=first.get("owner", ""),
            extensions=tuple(value for key, value in pairs if key == "extension"),
            version=",".join(sorted(value for key, value in pairs if key == "version")),
            logins=tuple(value for key, value in pairs if key == "role"),
            ours=tuple(value for key, value in pairs if key == "ours"),
            why=" ".join(value.strip() for key, value in pairs if key == "login" and value != "ok"),
        )


def passfile(passwords: Mapping[str, str]) -> str:
    """The lines of a file that psql takes passwords from (PostgreSQL's documentation, 34.16). Argument: {role: its}."""
    kept = {role: password.replace("\\", "\\\\").replace(":", "\\:") for role, password in passwords.items()}
    return "".join(f"*:*:*:{role}:{password}\n" for role, password in kept.items())
