"""A login for each password of a database's owner: its name, what PostgreSQL keeps of it, and the SQL around it."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from changeover.logins import is_login, lock_sql, login, reader, reader_sql, setup_sql, verifier
from changeover.settings import Postgres


def service(**values: Any) -> Postgres:
    words = {"layer": 1, "on": "data", "kind": "postgres", "major": 17, "image": "postgres:17"}
    named = {"database": "shop", "owner": "shop", "owner_secret": "P", "extensions": ["vector", "uuid-ossp"]}
    return Postgres.model_validate({**words, **named, **values})


def test_a_login_follows_from_its_password_and_its_owner() -> None:
    assert login("shop", "one") == login("shop", "one") == "shop_3aaf"
    assert len({login("shop", f"p{number}") for number in range(20)}) == 20
    assert login("shop", "one")[-4:] != login("blog", "one")[-4:], "equal passwords of two owners do not show"


@pytest.mark.parametrize(
    "role, is_one",
    [
        ("shop", True),
        ("shop_3aaf", True),
        ("shop_2024", False),
        ("shop_beef", False),
        ("shop_readers", False),
        ("shop_3aaf5", False),
        ("postgres", False),
    ],
)
def test_only_the_owner_and_the_logins_that_were_made_here_are_ever_locked(role: str, is_one: bool) -> None:
    """A team's own roles may be named as ours are."""
    assert is_login("shop", role, ["shop_3aaf", "shop_readers", "shop_3aaf5", "postgres"]) is is_one


def test_a_verifier_is_what_postgresql_makes_itself() -> None:
    """Made by PostgreSQL 17: `select rolpassword from pg_authid` after `alter role x password 'it''s péncil'`."""
    salt = "+KRhU1efEJBtPLJq/ESogw=="
    keys = "KHUM5Qi7+/cMIhw9FIlk49VbOyafmFxW2Vww37pin7M=:D9+qKugTDwhzfqMINhKQulVy+xlEijzADW02v+XbijU="
    assert verifier("it's péncil", b64decode(salt)) == f"SCRAM-SHA-256$4096:{salt}${keys}"


def test_the_sql_as_a_whole() -> None:
    assert setup_sql(service(), "shop_3aaf", "SCRAM-1", "SCRAM-2").splitlines() == [
        "set log_statement = 'none';",
        "set log_min_error_statement = 'panic';",
        "set log_min_duration_statement = -1;",
        "select 'create role \"shop\"' where not exists (select from pg_roles where rolname = 'shop') \\gexec",
        'alter role "shop" nosuperuser nocreatedb nocreaterole;',
        "select 'create role \"shop_3aaf\"'"
        " where not exists (select from pg_roles where rolname = 'shop_3aaf') \\gexec",
        "comment on role \"shop_3aaf\" is 'changeover';",
        "alter role \"shop_3aaf\" login inherit nosuperuser nocreatedb nocreaterole password 'SCRAM-1';",
        'grant "shop" to "shop_3aaf";',
        "alter role \"shop_3aaf\" set role = 'shop';",
        "alter role postgres password 'SCRAM-2';",
        'alter database "shop" owner to "shop";',
        'alter schema public owner to "shop";',
        'create extension if not exists "vector";',
        'create extension if not exists "uuid-ossp";',
    ]


def test_the_owners_own_login_is_not_touched_by_a_deploy() -> None:
    """What serves may still log in as the owner itself: it is locked when nothing does."""
    assert "nologin" not in setup_sql(service(), "shop_3aaf", "1", "2")


def test_a_name_that_sql_keeps_for_itself_is_quoted() -> None:
    sql = setup_sql(service(owner="user", database="order"), "user_0000", "1", "2")
    assert 'create role "user"' in sql and 'alter database "order" owner to "user"' in sql


def test_old_logins_are_locked_first_and_dropped_where_nothing_depends_on_them() -> None:
    sql = lock_sql("shop", ["shop", "shop_0001"])
    shop, other = sql.splitlines()[:2], sql.splitlines()[2:]
    assert shop == [
        'alter role "shop" nologin password null;',
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shop' \\g /dev/null",
    ]
    assert other[0] == 'alter role "shop_0001" nologin password null;'
    assert 'drop role "shop_0001"' in other[2] and "dependent_objects_still_exist" in other[2]
    assert 'drop role "shop";' not in sql and 'drop owned by "shop"' not in sql


def test_the_reader_of_gates_reads_and_has_no_password() -> None:
    made = "where not exists (select from pg_roles where rolname = 'shop_gates')"
    assert reader_sql(service()).splitlines()[3:] == [
        f"select 'create role \"shop_gates\"' {made} \\gexec",
        "comment on role \"shop_gates\" is 'changeover';",
        'alter role "shop_gates" login nosuperuser nocreatedb nocreaterole connection limit 5 password null;',
        'grant pg_read_all_data, pg_monitor to "shop_gates";',
        'alter role "shop_gates" set default_transaction_read_only = on;',
        "alter role \"shop_gates\" set statement_timeout = '5s';",
    ]
    assert not is_login("shop", reader("shop"), [reader("shop")]), "a rotation locks older logins, and not this one"
