"""The database: its owner and schema are made right once, and its password is in no command and no log."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet, gate_asks, logins
from changeover.live import Live, Releases
from changeover.logins import login
from changeover.record_changes import Migration
from changeover.secrets import Secrets
from changeover.settings import Postgres
from facts.postgres import Database, passfile
from operations import before, database, flow
from operations.database import Login, Look, left, migrated, once, prepared, read

Run = Callable[..., Outcome]
PASSWORD = "it's a \"canary\\ $HOME"
WORDS = {"layer": 1, "on": "data", "kind": "postgres", "major": 17, "image": "postgres:17"}


def service(**values: Any) -> Postgres:
    named = {"database": "shop", "owner": "shop", "owner_secret": "P", "extensions": ["vector", "uuid-ossp"]}
    return Postgres.model_validate({**WORDS, **named, **values})


SUPERUSER = "super canary"
ROLE = login("shop", PASSWORD)
READY = ["login ok", "superuser ok", "owner shop", "extension plpgsql", "extension vector", "extension uuid-ossp"]
READY += [f"role {ROLE}", "role postgres", "version 0001", f"ours {ROLE}"]
SECRETS = Secrets(Path("/nonexistent"), {"P": PASSWORD, "POSTGRES_PASSWORD": SUPERUSER})
ARGUMENTS = {"container": "shop-db-1", "service": service(), "login": Login("shop", service(), SECRETS)}


def test_a_prepared_database_is_left_alone(run: Run) -> None:
    done = run(prepared, {"psql": READY}, **ARGUMENTS)
    assert not done.changed and done.commands == []


@pytest.mark.parametrize(
    "state",
    [
        [],
        [line for line in READY if line not in ("login ok", f"role {ROLE}")],
        [line for line in READY if line != "superuser ok"],
        ["owner postgres" if line == "owner shop" else line for line in READY],
        [line for line in READY if line != "extension vector"],
        ["owner shop", "role shop"],
        [line for line in READY if not line.startswith("ours ")],
    ],
    ids=["no database", "another password", "superuser", "owner", "extension", "bare", "not marked as ours"],
)
def test_what_is_not_right_is_made_right(run: Run, state: list[str]) -> None:
    done = run(prepared, {"docker exec -i shop-db-1 sh": state}, **ARGUMENTS)
    (command,) = done.commands
    assert command.text == "docker exec -i shop-db-1 psql -q -v ON_ERROR_STOP=1 -U postgres -d shop -f -"
    assert f'grant "shop" to "{ROLE}";' in command.stdin and "SCRAM-SHA-256$" in command.stdin


def test_two_passwords_that_belong_to_one_login_are_refused(run: Run) -> None:
    """What serves may log in with the other one: it must not change under it."""
    said = 'login psql: error: FATAL:  password authentication failed for user "shop_3aaf"'
    done = run(prepared, {"docker exec -i shop-db-1 sh": [said, *READY[1:]]}, **ARGUMENTS)
    assert done.failed and done.commands == []
    assert flow.FAILURES["@fake/one"] == [
        f"{ROLE} is there with another password than P now has; what serves may log in with it",
        "nothing was changed; give P another value, that of another login, and run again",
    ]


def test_a_database_whose_connections_are_used_up_is_not_said_to_have_another_password(run: Run) -> None:
    said = "login psql: error: FATAL:  sorry, too many clients already"
    done = run(prepared, {"docker exec -i shop-db-1 sh": [said, *READY[1:]]}, **ARGUMENTS)
    assert done.failed and done.commands == []
    why = "psql: error: FATAL:  sorry, too many clients already"
    assert flow.FAILURES["@fake/one"] == [
        f"{ROLE} cannot log in to shop, and its password is not why: {why}",
        "nothing was changed; when that is mended (connections used up? pg_hba.conf?), run the same again",
    ]


def test_the_passwords_are_in_no_command_and_no_log_and_never_sent_to_be_kept(run: Run) -> None:
    done = run(prepared, {}, **ARGUMENTS)
    everything = [*done.asked, *done.commands]
    assert [c.stdin for c in done.asked] == [passfile({ROLE: PASSWORD, "postgres": SUPERUSER})]
    assert everything and not [c for c in everything if "canary" in c.text + c.logged]
    assert not [c for c in done.commands if "canary" in c.stdin]
    assert "canary" not in f"{ARGUMENTS} {done.lines}"


# --- the role that gates read as


def test_the_reader_is_made_once_and_no_other_is_taken_for_it(run: Run) -> None:
    done = run(read, {"psql -q": [], "psql": READY}, **ARGUMENTS)
    (made,) = done.commands
    assert made.stdin == logins.reader_sql(service()) and "psql -q -v ON_ERROR_STOP=1 -U postgres -d shop" in made.text
    done = run(read, {"psql": [*READY, "role shop_gates", "ours shop_gates"]}, **ARGUMENTS)
    assert not done.changed and done.commands == []
    done = run(read, {"psql": [*READY, "role shop_gates"]}, **ARGUMENTS)
    assert done.failed and "shop_gates is a role of shop that was not made here" in flow.FAILURES["@fake/one"][0]


def test_only_a_database_that_gates_ask_has_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"name": "depth", "source": {"sql": "select 1"}, "value": 1}

    def wanted(*gates: dict[str, Any]) -> list[str]:
        hosts = good()
        on_all("shop.gates", list(gates))(hosts)
        return gate_asks.databases(fleet.load(hosts), "shop")

    assert wanted(asked, {**asked, "name": "again"}) == ["db"]
    assert wanted({**asked, "source": {"probe": "p95"}}) == [] and wanted() == []
    made: list[str] = []
    monkeypatch.setattr(database, "prepared", lambda **_: None)
    monkeypatch.setattr(database, "read", lambda **arguments: made.append(arguments["container"]))
    hosts = good()
    on_all("shop.gates", [asked])(hosts)
    plan = fleet.load(hosts)
    secrets = Secrets(Path("/nonexistent"), {"SHOP_DB_PASSWORD": "x" * 9, "POSTGRES_PASSWORD": "y" * 9})
    database.prepare.__wrapped__(plan, "shop", "data1", secrets)  # type: ignore[attr-defined]
    assert made == ["shop-db-1"]


# --- the schema


@pytest.fixture(autouse=True)
def schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "SCHEMA", {})


def migrate(run: Run, state: Database, **responses: Any) -> Outcome:
    named = {"system": "shop", "directory": "/srv/shop", "container": "api-blue", "look": lambda: state, "timeout": 600}
    return run(migrated, responses, **named, failed=NOTHING)


@pytest.mark.parametrize("version", ["", "0001", "0002"])
def test_a_release_that_rolls_out_has_its_migrations_run_whatever_is_there(run: Run, version: str) -> None:
    done = migrate(run, Database(login=True, version=version))
    (command,) = done.commands
    assert command.text == once("/srv/shop", "api-blue", ["alembic", "upgrade", "head"], 600, NOTHING)
    assert " run --rm --no-deps -T --name srv-shop-migrate api-blue alembic upgrade head" in command.text
    assert before.SCHEMA == {"shop": [version, version]} and done.changed
    assert before.migration("shop") == Migration(from_=version, to=version) and before.migration("hello") is None


def test_without_a_login_nothing_is_migrated(run: Run) -> None:
    done = migrate(run, Database(login=False))
    assert done.failed and done.commands == []


def test_a_migration_that_fails_fails_the_host(run: Run) -> None:
    says = {"success": False, "stderr": ["sqlalchemy.exc.ProgrammingError: no such table"]}
    done = migrate(run, Database(login=True, version="0001"), **{"alembic upgrade": says})
    assert done.failed and "sqlalchemy.exc.ProgrammingError: no such table" in done.lines
    assert before.migration("shop") == Migration(from_="0001", to="")


LONGER = "the migration took longer than 1 s (migrations.timeout), and was ended"
KILLED = "the migration was killed: for want of memory, or after 1 s (migrations.timeout)"
NOTHING = "nothing was switched; it's 1.0.0 that serves"
DOCKER = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
inspect) [ -e {running} ];;
wait) {wait};;
rm) rm -f {running};;
compose) {run};;
esac
"""


@pytest.mark.parametrize(
    "running, wait, run_, code, says, calls",
    [
        (False, "", "exit 0", 0, "", ["inspect", "compose"]),
        (False, "", "exit 3", 3, NOTHING, ["inspect", "compose"]),
        (True, "echo 0", "exit 0", 0, "", ["inspect", "wait", "rm", "compose"]),
        (
            True,
            "sleep 9",
            "exit 0",
            1,
            "it still runs after 1 s; look: docker logs srv-shop-migrate",
            ["inspect", "wait"],
        ),
        (False, "", "sleep 9", 124, f"{LONGER}\n{NOTHING}", ["inspect", "compose", "stop"]),
        (False, "", "exit 137", 137, f"{KILLED}\n{NOTHING}", ["inspect", "compose", "stop"]),
    ],
    ids=["runs", "fails", "an earlier one ends", "an earlier one does not end", "takes too long", "is killed"],
)
def test_one_migration_at_a_time_and_each_with_a_limit(
    tmp_path: Path, running: bool, wait: str, run_: str, code: int, says: str, calls: list[str]
) -> None:
    log, mark = tmp_path / "log", tmp_path / "running"
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.format(log=log, running=mark, wait=wait, run=run_))
    docker.chmod(0o755)
    if running:
        mark.touch()
    done = subprocess.run(
        ["sh", "-c", once("/srv/shop", "api-blue", ["alembic", "upgrade", "head"], 1, NOTHING)],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr.strip()) == (code, says)
    assert [line.split()[0] for line in log.read_text().splitlines()] == calls


@pytest.mark.parametrize(
    "strategy, before, says",
    [
        ("blue_green", "1.0.0", "1.0.0 serves as before; "),
        ("rolling", "1.0.0", "1.0.0 serves as before; "),
        ("recreate", "1.0.0", "1.0.0 was stopped for it, and comes back when this run ends; "),
        ("recreate", None, "nothing serves yet; "),
    ],
)
def test_after_a_migration_that_failed_a_person_reads_what_serves(strategy: str, before: str | None, says: str) -> None:
    hosts = good()
    on_all("release", "1.1.0")(hosts)
    on_all("shop.release", {"strategy": strategy})(hosts)
    found = left(fleet.load(hosts), "shop", Live(release=Releases(live=before)))
    assert found.startswith(f"nothing was switched; {says}") and found.endswith("sudo changeover status shop")


def test_what_a_run_carries_about_the_database_shows_no_password() -> None:
    plan = fleet.load(good())
    migrations = plan.systems["shop"].migrations
    assert migrations
    secrets = Secrets(Path("/nonexistent"), {"SHOP_DB_PASSWORD": "hunter2", "POSTGRES_PASSWORD": "hunter2"})
    look = Look(plan, "shop", migrations, secrets)
    assert repr(look) == "the database in shop-db-1 on data1"
    assert repr(Login("shop", service(owner_secret="SHOP_DB_PASSWORD"), secrets)) == login("shop", "hunter2")
