"""The layer below: databases and brokers answer, are of the data's version, and keep their data on volumes."""

import json

import pytest

from changeover import gate_asks
from changeover.logins import is_login, reader
from changeover.settings import Postgres
from changeover.stack import image
from changeover.texts import login_of

from .test_containers import of_project
from .under_test import check

STATE = """
select json_build_object(
  'major', current_setting('server_version_num')::int / 10000,
  'checksums', current_setting('data_checksums'),
  'owner', pg_get_userbyid(datdba),
  'roles', (select json_object_agg(rolname, rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls)
            from pg_roles where rolcanlogin),
  'ours', (select json_agg(rolname) from pg_roles where shobj_description(oid, 'pg_authid') = 'changeover'),
  'schema', (select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'public'),
  'extensions', (select json_agg(extname) from pg_extension))
from pg_database where datname = current_database()
"""
NETWORK_LOGIN = "psql -w -h $(hostname -i) -U {user} -d {database} -Atqc 'select 1'"


@pytest.fixture
def settings(fleet, database) -> Postgres:
    return fleet.plan.systems[database.system].services[database.part]


@pytest.fixture
def ask_database(fleet, database):
    """Runs words in the container, and gives the answer; no answer fails the test."""

    def ask(*words: str) -> dict:
        container = f"{database.system}-{database.part}-1"
        question = {"id": "it", "kind": "words", "words": ["docker", "exec", container, *words]}
        answer = fleet.ask(database.machine, [question])["it"]
        check([f"{database}: {answer['error']}"] if "error" in answer else [])
        return answer

    return ask


def query(ask, database: str, sql: str) -> str:
    answer = ask("psql", "-U", "postgres", "-d", database, "-XAtqc", sql)
    check([f"psql: {answer['err']}"] if answer["code"] else [])
    return answer["out"]


def test_postgres_accepts_connections(ask_database, database):
    answer = ask_database("pg_isready", "-h", "127.0.0.1", "-U", "postgres")
    assert answer["code"] == 0, f"{database}: {answer['out']} {answer['err']}"


def test_database_is_as_the_data_says(ask_database, database, settings):
    """Version, checksums of pages, extensions; the owner owns the database and its schema, and is nothing more."""
    found = json.loads(query(ask_database, settings.database, STATE))
    missing = sorted(set(settings.extensions) - set(found["extensions"]))
    rights = {"major": settings.major, "checksums": "on", "owner": settings.owner, "schema": settings.owner}
    problems = [f"{key} is {found[key]}, not {value}" for key, value in rights.items() if found[key] != value]
    problems += [f"extension {name} is missing" for name in missing]
    check([f"{database}: {problem}" for problem in problems])


def test_one_login_of_the_owners_works_that_of_the_password(fleet, ask_database, database, settings):
    """An older one is a password that is still good; one with more rights than an owner needs is a superuser's."""
    state = json.loads(query(ask_database, settings.database, STATE))
    found, ours = state["roles"], state["ours"] or []
    wanted = login_of(fleet.plan, database.system, database.part, fleet.secrets)
    mend = "run: pyinfra INVENTORY runbooks/rotate_secrets.py -y"
    others = [role for role in found if role != wanted and is_login(settings.owner, role, ours)]
    problems = [f"{role} may log in too; {mend}" for role in others]
    if found.get(wanted) is not False:
        problems.append(f"role {wanted} may not log in, or has more rights than an owner needs")
    check([f"{database}: {problem}" for problem in problems])


def test_logins_over_the_network_need_a_password(fleet, ask_database, database, settings):
    """On its loopback the official image trusts everybody; from any other address it must not."""
    for user in ("postgres", login_of(fleet.plan, database.system, database.part, fleet.secrets)):
        answer = ask_database("sh", "-c", NETWORK_LOGIN.format(user=user, database=settings.database))
        assert "password" in answer["err"], f"{database}: {user}: {answer['out'] or answer['err']}"


def test_gates_read_and_write_nothing(fleet, ask_database, database, settings):
    """As the role that a gate's SQL runs as; also when the statement itself asks for more."""
    if database.part not in gate_asks.databases(fleet.plan, database.system):
        pytest.skip(f"{database}: no gate of group_data asks it, so there is no role to read it")
    role = reader(settings.owner)

    def ask(sql: str) -> dict:
        return ask_database("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", settings.database, "-c", sql)

    def refused(sql: str, why: str) -> list[str]:
        answer = ask(sql)
        return [] if answer["code"] and why in answer["err"] else [f"{sql}: {answer['out'] or answer['err']}"]

    answer = ask("select count(*) from pg_stat_activity")
    problems = [] if answer["out"].strip().isdigit() else [f"{role} does not read: {answer['err']}"]
    problems += refused("create temp table gate_was_here (n int)", "read-only transaction")
    problems += refused("set transaction read write; create table public.gate_was_here (n int)", "permission denied")
    answer = ask_database("sh", "-c", NETWORK_LOGIN.format(user=role, database=settings.database))
    problems += [] if "password" in answer["err"] else [f"{role} logs in over the network: {answer['out']}"]
    check([f"{database}: {problem}" for problem in problems])


def test_settings_are_the_datas(ask_database, database, settings):
    """As the running server has them; what the command line says wins over every file."""
    names = ",".join(f"'{name}'" for name in settings.settings)
    if not names:
        pytest.skip(f"{database}: its `settings` are empty in group_data, so the server has none to agree with")
    sql = f"select json_object_agg(name, array[current_setting(name), source]) from pg_settings where name in ({names})"
    found = json.loads(query(ask_database, settings.database, sql) or "null") or {}
    problems = []
    for name, value in settings.settings.items():
        running, source = found.get(name, ("unknown", "nothing"))
        if source != "command line" or value.isdigit() and running != value:
            problems.append(f"{name} is {running} (from {source}), not {value}")
    check([f"{database}: {problem}" for problem in problems])


def test_schema_is_the_live_releases(fleet, ask_database, database, settings):
    """What the live release's image calls its newest; or what a release left behind that was gone back from."""
    plan, system = fleet.plan, database.system
    migrations = plan.systems[system].migrations
    if not migrations or migrations.database != database.part:
        pytest.skip(f"{database}: group_data declares no `migrations` for it, so no schema version is asked for")
    service = plan.systems[system].services[migrations.service]
    versions = set(query(ask_database, settings.database, "select version_num from alembic_version").split())
    releases = [fleet.live(system).release.live, *sorted(left_since_live(fleet, system))]
    pinned, key = fleet.live(system).pinned, migrations.service  # most hosts have a release by its digest alone
    images = {r: pinned(r, key, image(plan, system, key, service, r)) for r in releases if r}
    run = ["docker", "run", "--rm", "--network", "none", "--pull", "never"]
    heads = {"kind": "words", "limit": 40}
    questions = [heads | {"id": r, "words": [*run, name, "alembic", "heads"]} for r, name in images.items()]
    answers = fleet.ask(plan.hosts_of(system, migrations.service)[0].name, questions)
    newest = {r: {line.split()[0] for line in a.get("out", "").splitlines()} for r, a in answers.items()}
    live = releases[0]
    check([] if newest.get(live) else [f"{database}: {images[live]} does not say its schema: {answers[live]}"[:300]])
    if versions and versions == newest[live]:
        return
    left = [release for release in releases[1:] if versions and versions == newest[release]]
    check([] if left else [f"{database}: the schema is {sorted(versions)}, release {live} has {sorted(newest[live])}"])
    fleet.notes.append(f"{database}: the schema is still that of {left[0]}, which was gone back from")


def left_since_live(fleet, system: str) -> set[str]:
    """Releases that were begun since the live one had its switch: by the audit, newest line first."""
    live, found = fleet.live(system).release.live, set()
    for line in reversed(fleet.changeover(fleet.plan.coordinator(system).name, system, "audit")["lines"]):
        if line["verb"] == "switch" and line["outcome"] == "done" and line["to"] == live:
            break
        found |= {line["from"], line["to"], line["candidate"]}
    return found - {live, None}


def test_nats_is_healthy_with_jetstream(fleet, broker):
    """Its monitoring port, asked at the container's own address, and what it says to a client on the published port."""
    service = fleet.plan.systems[broker.system].services[broker.part]
    address = next(iter(container(fleet, broker)["NetworkSettings"]["Networks"].values()))["IPAddress"]
    monitoring = {"kind": "http", "address": address, "port": service.monitoring, "host": address}
    published = {"kind": "line", "address": fleet.plan.hosts[broker.machine].address, "port": service.publish}
    answers = fleet.ask(
        broker.machine,
        [
            {**monitoring, "id": "health", "path": "/healthz"},
            {**monitoring, "id": "jetstream", "path": "/jsz"},
            {**published, "id": "hello"},
        ],
    )
    problems = [f"{key}: {answer['error']}" for key, answer in answers.items() if "error" in answer]
    if not problems:
        jetstream = json.loads(answers["jetstream"]["body"] or "{}")
        hello = answers["hello"]["line"]
        problems += [f"/healthz is {answers['health']['status']}"] if answers["health"]["status"] != 200 else []
        problems += ["JetStream is off"] if jetstream.get("disabled") or "config" not in jetstream else []
        if not (hello.startswith("INFO {") and json.loads(hello[5:]).get("jetstream")):
            problems.append(f"port {service.publish} says {hello[:80]!r}, not that of NATS with JetStream")
    check([f"{broker}: {problem}" for problem in problems])


def container(fleet, place) -> dict:
    """What `docker inspect` says of a place's container."""
    for found in of_project(fleet, place.machine, place.system):
        if found["Name"] == f"/{place.system}-{place.part}-1":
            return found
    return pytest.fail(f"{place}: has no container", pytrace=False)


def on_volume(fleet, place, folder: str) -> bool:
    mounts = {mount["Destination"]: mount["Type"] for mount in container(fleet, place)["Mounts"]}
    return mounts.get(folder) == "volume"


def test_postgres_keeps_its_data_on_a_volume(fleet, database):
    assert on_volume(fleet, database, "/var/lib/postgresql/data"), f"{database}: its data ends with the container"


def test_nats_keeps_its_data_on_a_volume(fleet, broker):
    assert on_volume(fleet, broker, "/data"), f"{broker}: its streams end with the container"
