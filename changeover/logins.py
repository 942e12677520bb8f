"""The roles that applications log in to PostgreSQL as: one for each password, members of the owner; and their SQL.

PostgreSQL has one password a role: with a single role, every new connection of what serves would fail from the moment
its password changes until the switch. A role a password lets the old and the new slot log in side by side
(docs/decisions.md). Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Sequence
from functools import lru_cache

from changeover.settings import Postgres

MARK = "changeover"  # the comment on each login that was made here: others may be named as ours are
ROUNDS = 4096  # PostgreSQL's own number
SLOW = 200_000  # rounds for the name: whoever reads it cannot try many passwords on it
READ = 5  # seconds that a reader's statement may take
QUIET = [  # no text of a statement goes to the server's log
    "set log_statement = 'none';",
    "set log_min_error_statement = 'panic';",
    "set log_min_duration_statement = -1;",
]


@lru_cache(maxsize=64)
def login(owner: str, password: str) -> str:
    """The role that a password belongs to: the owner's name and four digits that follow from the password.

    They tell one password from the next and give nothing away that helps to guess it: 16 bits of a slow hash.
    """
    return f"{owner}_{hashlib.pbkdf2_hmac('sha256', password.encode(), owner.encode(), SLOW).hex()[:4]}"


def is_login(owner: str, role: str, ours: Collection[str]) -> bool:
    """Whether a role is one of an owner's logins, or the owner itself.

    A team's own shop_2024 is named as ours are, and is none. Arguments: the owner; the role; those that are marked.
    """
    return role == owner or role in ours and re.fullmatch(rf"{re.escape(owner)}_[0-9a-f]{{4}}", role) is not None


def verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password (RFC 5802, 7677), made here: the password itself never gets to the server,
    where logs and pg_stat_statements keep the text of an ALTER ROLE. Arguments: the password; 16 random bytes.
    """
    plain = unicodedata.normalize("NFKC", password)  # as clients do (SASLprep)
    salted = hashlib.pbkdf2_hmac("sha256", plain.encode(), salt, ROUNDS)
    client = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_, client_, server_ = (b64encode(part).decode() for part in (salt, client, server))
    return f"SCRAM-SHA-256${ROUNDS}:{salt_}${client_}:{server_}"


def setup_sql(service: Postgres, role: str, password: str, superuser: str) -> str:
    """SQL that makes owner, login and extensions right, run as often as you like.

    Arguments: the database's settings; the login; the verifiers of its password and of the superuser's.
    """
    owner = service.owner
    lines = [
        *QUIET,
        _created(owner),
        f'alter role "{owner}" nosuperuser nocreatedb nocreaterole;',
        _created(role),
        f"comment on role \"{role}\" is '{MARK}';",
        f"alter role \"{role}\" login inherit nosuperuser nocreatedb nocreaterole password '{password}';",
        f'grant "{owner}" to "{role}";',
        f"alter role \"{role}\" set role = '{owner}';",  # what it makes is the owner's
        f"alter role postgres password '{superuser}';",
        f'alter database "{service.database}" owner to "{owner}";',
        f'alter schema public owner to "{owner}";',
        *(f'create extension if not exists "{extension}";' for extension in service.extensions),
    ]
    return "\n".join(lines) + "\n"


def _created(role: str) -> str:
    return f"select 'create role \"{role}\"' where not exists (select from pg_roles where rolname = '{role}') \\gexec"


def reader(owner: str) -> str:
    """The role that gates read an owner's database as (changeover/settings_gates.py)."""
    return f"{owner}_gates"


def reader_sql(service: Postgres) -> str:
    """SQL that makes the reader: all to read, nothing to write, and no password, so that no network lets it in.

    The official image trusts who is in the container itself, as it trusts us as postgres; docs/decisions.md.
    """
    role = reader(service.owner)
    lines = [
        *QUIET,
        _created(role),
        f"comment on role \"{role}\" is '{MARK}';",
        f'alter role "{role}" login nosuperuser nocreatedb nocreaterole connection limit 5 password null;',
        f'grant pg_read_all_data, pg_monitor to "{role}";',
        f'alter role "{role}" set default_transaction_read_only = on;',
        f"alter role \"{role}\" set statement_timeout = '{READ}s';",
    ]
    return "\n".join(lines) + "\n"


def lock_sql(owner: str, roles: Sequence[str]) -> str:
    """SQL after which none of these roles can log in, and none of their sessions is left.

    What a login owns goes to the owner; then it is dropped. Arguments: the owner; the roles.
    """
    lines = []
    for role in roles:
        lines += [
            f'alter role "{role}" nologin password null;',
            f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}' \\g /dev/null",
        ]
        if role != owner:
            dropped = f'reassign owned by "{role}" to "{owner}"; drop owned by "{role}"; drop role "{role}";'
            kept = f"raise notice '{role} is locked, and kept: other databases know it';"
            lines += [f"do $$ begin {dropped} exception when dependent_objects_still_exist then {kept} end $$;"]
    return "\n".join(lines) + "\n"
