"""The containers of a system: as the operations guide (S1) asks, on the right hosts, with private secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plans import Hosts, good, on_all, production_hosts, staging_hosts

from changeover import fleet
from changeover.files import File
from changeover.live import Live, Releases, SlotState
from changeover.logins import login
from changeover.plan import Plan
from changeover.secrets import Secrets
from changeover.stack import containers, wanted_release
from operations import stack
from operations.stack import stack_files, to_start

VALUES = {
    "POSTGRES_PASSWORD": "super",
    "TASKTRACKER_DB_PASSWORD": "owner",
    "ADMIN_TOKEN": "admin",
    "SHOP_DB_PASSWORD": "s",
}
NOWHERE = Path("/nonexistent")


def files(hosts: Hosts, system: str, host: str, live: Live | None = None, **values: str) -> dict[str, File]:
    """{path: file} of a system on a host."""
    plan = fleet.load(hosts)
    specs = containers(plan, system, host, live or Live(), Secrets(NOWHERE, {**VALUES, **values}))
    return {file.path: file for file in stack_files(plan, system, specs)[0]}


def compose(hosts: Hosts, system: str, host: str, live: Live | None = None, **values: str) -> dict[str, Any]:
    """The compose file of a system on a host, read as compose reads it."""
    folder = fleet.load(hosts).run_dir(system)
    return yaml.safe_load(files(hosts, system, host, live, **values)[f"{folder}/compose.yaml"].content)


@pytest.mark.parametrize("host", ["app1", "data1", "edge1"])
def test_compose_file_as_a_whole(host: str, golden: Callable[[str, str], None]) -> None:
    made = files(staging_hosts(), "tasktracker", host)
    golden(f"{host}.tasktracker.compose.yaml", made["/srv/tasktracker/compose.yaml"].content)


def test_compose_file_of_a_second_system(golden: Callable[[str, str], None]) -> None:
    golden("app1.hello.compose.yaml", files(staging_hosts(), "hello", "app1")["/srv/hello/compose.yaml"].content)


# S1, "Resource Allocation": CPU limit, memory limit, CPU reserve, memory reserve.
RESOURCES = {
    "postgres": (2.0, "2G", 0.5, "512M"),
    "nats": (0.5, "512M", 0.1, "64M"),
    "worker-blue": (2.0, "2G", 0.5, "512M"),
    "api-blue": (1.0, "1G", 0.25, "256M"),
    "dashboard-blue": (0.5, "512M", 0.1, "128M"),
}
# S1, "Health Check Configuration": interval, timeout, retries, start period.
HEALTH = {
    "postgres": ("10s", "5s", 5, "10s"),
    "nats": ("10s", "5s", 3, "10s"),
    "worker-blue": ("30s", "10s", 3, "40s"),
    "api-blue": ("5s", "3s", 3, "15s"),
    "dashboard-blue": ("5s", "3s", 3, "20s"),
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return {
        n: s
        for host in ("data1", "app1", "edge1")
        for n, s in compose(staging_hosts(), "tasktracker", host)["services"].items()
    }


@pytest.mark.parametrize("name", RESOURCES)
def test_limits_and_reservations_are_the_guides(services: dict[str, Any], name: str) -> None:
    cpus, memory, cpus_reserve, memory_reserve = RESOURCES[name]
    body = services[name]
    assert (body["cpus"], body["mem_limit"], body["mem_reservation"]) == (cpus, memory, memory_reserve)
    assert body["cpu_shares"] == round(1024 * cpus_reserve)


@pytest.mark.parametrize("name", HEALTH)
def test_health_checks_are_the_guides(services: dict[str, Any], name: str) -> None:
    check = services[name]["healthcheck"]
    assert (check["interval"], check["timeout"], check["retries"], check["start_period"]) == HEALTH[name]
    assert check["test"] != ["CMD", "true"], "a check that cannot fail is none"


def test_what_the_health_checks_ask(services: dict[str, Any]) -> None:
    assert services["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    for name, url in {
        "api-blue": "http://127.0.0.1:8000/api/health",
        "dashboard-blue": "http://127.0.0.1:3000/",
        "nats": "http://127.0.0.1:8222/healthz",
    }.items():
        kind, command = services[name]["healthcheck"]["test"]
        assert kind == "CMD-SHELL" and f"-m {services[name]['healthcheck']['timeout'][:-1]} {url};" in command


# S1, "Port Allocation"; api and dashboard have two slots each in place of 8000 and 3000 on the host.
def test_ports_are_the_guides_and_only_private(services: dict[str, Any]) -> None:
    assert services["postgres"]["ports"] == ["172.30.99.14:5555:5432"]
    assert services["nats"]["ports"] == ["172.30.99.14:4222:4222", "127.0.0.1:8222:8222"]
    assert services["api-blue"]["ports"] == ["172.30.99.12:18000:8000"]
    assert services["dashboard-blue"]["ports"] == ["172.30.99.11:18010:3000"]
    assert "ports" not in services["worker-blue"] and "ports" not in services["scheduler-blue"]


def test_production_closes_development_ports() -> None:
    assert compose(production_hosts(), "tasktracker", "data1.example.com")["services"]["nats"]["ports"] == [
        "10.0.0.14:4222:4222"
    ]


def test_layers_are_in_their_order() -> None:
    plan = fleet.load(staging_hosts())
    layers = {name: service.layer for name, service in plan.systems["tasktracker"].services.items()}
    assert layers == {"postgres": 1, "nats": 1, "api": 2, "worker": 2, "scheduler": 2, "dashboard": 3}


def test_a_singleton_runs_on_the_first_host_of_its_group_only() -> None:
    assert sorted(compose(staging_hosts(), "tasktracker", "app1")["services"]) == [
        "api-blue",
        "scheduler-blue",
        "worker-blue",
    ]
    assert sorted(compose(staging_hosts(), "tasktracker", "app2")["services"]) == ["api-blue", "worker-blue"]


def test_one_host_may_be_all_of_it() -> None:
    hosts = good()
    data = {key: value for _, _, values in hosts for key, value in values.items()} | {"address": "10.0.0.9"}
    alone: Hosts = [("one", ["edge", "app", "data", "shop", "hello", "staging"], data)]
    assert sorted(compose(alone, "shop", "one")["services"]) == ["api-blue", "clock-blue", "db", "queue"]
    assert sorted(compose(alone, "hello", "one")["services"]) == ["web"]
    plan = fleet.load(alone)
    assert [h.name for h in plan.gateways("shop")] == ["one"] and plan.coordinator("shop").name == "one"


def test_systems_on_one_host_share_nothing() -> None:
    shop, hello = files(good(), "shop", "app1"), files(good(), "hello", "app1")
    assert not shop.keys() & hello.keys()
    for mine, other in ((shop, "hello"), (hello, "shop")):
        assert not [path for path, file in mine.items() if other in path or other in file.content]


def test_a_service_is_reached_at_its_hosts_published_address() -> None:
    made = files(good(), "shop", "app1")
    url = f"postgresql://{login('shop', 's')}:s@10.0.0.14:5432/shop"
    assert made["/srv/shop/secrets/api-blue/DATABASE_URL"].content == url
    assert yaml.safe_load(made["/srv/shop/compose.yaml"].content)["services"]["api-blue"]["environment"] == {
        "QUEUE": "nats://10.0.0.14:4222",
        "DEPLOYMENT_SLOT": "blue",
    }


def test_a_secret_in_a_url_is_encoded_and_elsewhere_is_not() -> None:
    hosts = good()
    on_all("shop.services.api.secrets.RAW", "{secret.SHOP_DB_PASSWORD}")(hosts)
    made = files(hosts, "shop", "app1", SHOP_DB_PASSWORD="p@ss/w:rd 1%")
    assert made["/srv/shop/secrets/api-blue/RAW"].content == "p@ss/w:rd 1%"
    url = made["/srv/shop/secrets/api-blue/DATABASE_URL"].content
    assert url == f"postgresql://{login('shop', 'p@ss/w:rd 1%')}:p%40ss%2Fw%3Ard%201%25@10.0.0.14:5432/shop"


def test_secrets_are_private_files_of_the_user_in_the_container() -> None:
    made = files(staging_hosts(), "tasktracker", "app1")
    secret = made["/srv/tasktracker/secrets/api-blue/ADMIN_TOKEN"]
    assert (secret.mode, secret.owner, secret.group, secret.content) == ("400", "10001", "10001", "admin")
    postgres = files(staging_hosts(), "tasktracker", "data1")["/srv/tasktracker/secrets/postgres/POSTGRES_PASSWORD"]
    assert (postgres.mode, postgres.owner, postgres.content) == ("400", "999", "super")


def test_the_folders_of_secrets_are_roots_alone() -> None:
    plan = fleet.load(staging_hosts())
    specs = containers(plan, "tasktracker", "app1", Live(), Secrets(NOWHERE, VALUES))
    compose = stack_files(plan, "tasktracker", specs)[0][0]
    assert (compose.path, compose.mode) == ("/srv/tasktracker/compose.yaml", "600"), "it holds digests of secrets"
    directories = {d.path: (d.mode, d.owner) for d in stack_files(plan, "tasktracker", specs)[1]}
    assert directories == {
        "/srv/tasktracker": ("755", "root"),
        "/srv/tasktracker/secrets": ("700", "root"),
        **{f"/srv/tasktracker/secrets/{name}-blue": ("700", "root") for name in ("api", "worker", "scheduler")},
    }


def test_no_value_of_a_secret_is_in_a_compose_file_or_a_printed_object() -> None:
    plan = fleet.load(staging_hosts())
    canaries = {name: f"canary-{name}" for name in VALUES}
    for host in plan.hosts:
        for system in plan.systems_on(host):
            specs = containers(plan, system, host, Live(), Secrets(NOWHERE, canaries))
            made, _ = stack_files(plan, system, specs)
            assert "canary" not in made[0].content + repr(specs) + repr(made)


def test_a_changed_secret_restarts_only_who_reads_it() -> None:
    before = compose(staging_hosts(), "tasktracker", "app1")["services"]
    after = compose(staging_hosts(), "tasktracker", "app1", ADMIN_TOKEN="another")["services"]
    assert before["api-blue"]["labels"]["changeover.secrets"] != after["api-blue"]["labels"]["changeover.secrets"]
    data = [compose(staging_hosts(), "tasktracker", "data1", ADMIN_TOKEN=v) for v in ("one", "two")]
    assert data[0] == data[1]


def test_the_superusers_password_restarts_no_database() -> None:
    """Only its first start reads the file; afterwards the database itself has it."""
    data = [compose(staging_hosts(), "tasktracker", "data1", POSTGRES_PASSWORD=v) for v in ("one", "two")]
    assert data[0] == data[1] and data[0]["services"]["postgres"]["secrets"]


def test_secrets_as_variables_are_in_a_file_that_compose_reads_and_nowhere_else() -> None:
    hosts = good()
    on_all("shop.services.api.secret_env", {"OLD": "a {secret.TOKEN}"})(hosts)
    value = 'it\'s "$HOME" `id` \\ and\nmore'
    made = files(hosts, "shop", "app1", TOKEN=value)
    file = made["/srv/shop/secrets/api-blue.env"]
    assert (file.mode, file.owner) == ("400", "root")
    assert file.content == 'OLD="a it\'s \\"\\$HOME\\" `id` \\\\ and\\nmore"\n'
    body = compose(hosts, "shop", "app1", TOKEN=value)["services"]["api-blue"]
    assert body["env_file"] == [{"path": "/srv/shop/secrets/api-blue.env", "required": False}]
    assert "OLD" not in body["environment"]
    others = compose(hosts, "shop", "app1", TOKEN="another")["services"]["api-blue"]["labels"]
    for label in ("changeover.secrets", "changeover.config"):
        assert others[label] != body["labels"][label], "a changed one goes live by a switch, as every setting"


def put_there(live: Live, number: int | None = None, **values: str) -> list[str]:
    """The secrets of a shop's api that a run on app1 writes."""
    plan = fleet.load(good())
    specs = containers(plan, "shop", "app1", live, Secrets(NOWHERE, {**VALUES, **values}))
    fresh = [spec for spec in to_start(plan, "shop", live, specs) if number in (None, spec.layer)]
    return [file.path for file in stack_files(plan, "shop", specs, fresh)[0][1:]]


def test_what_serves_and_the_way_back_keep_the_secrets_that_they_were_released_with() -> None:
    blue = {"api": SlotState(live="blue", blue="1.0.0"), "clock": SlotState(live="blue", blue="1.0.0")}
    both = {name: SlotState(live="blue", blue="1.0.0", green="0.9.0") for name in blue}
    of = "/srv/shop/secrets/api-{}/DATABASE_URL".format
    live = Live(release=Releases(live="1.0.0"), slots=blue)
    assert put_there(Live()) == [of("blue")]
    assert put_there(live) == [of("blue")]
    assert put_there(live.model_copy(update={"drifted": True})) == [of("green")]
    assert put_there(live.model_copy(update={"slots": both})) == [of("blue")]
    assert put_there(live.model_copy(update={"slots": both}), number=1) == []


def test_two_services_secrets_never_meet_under_one_name() -> None:
    hosts = good()
    on_all("shop.services.api.secrets", ["X_KEY"])(hosts)
    on_all("shop.services.api_x", {"layer": 2, "on": "app", "secrets": ["KEY"]})(hosts)
    made = files(hosts, "shop", "app1", X_KEY="of api", KEY="of api_x")
    assert made["/srv/shop/secrets/api-blue/X_KEY"].content == "of api"
    assert made["/srv/shop/secrets/api_x-blue/KEY"].content == "of api_x"
    sources = yaml.safe_load(made["/srv/shop/compose.yaml"].content)["secrets"]
    wanted = ["/srv/shop/secrets/api-blue/X_KEY", "/srv/shop/secrets/api_x-blue/KEY"]
    assert sorted(s["file"] for s in sources.values()) == wanted


def test_compose_fills_in_nothing_of_its_own_and_text_survives() -> None:
    hosts = good()
    text = "a $HOME ${X} \"q\" 'é' 😀: #\n\\"
    on_all("shop.services.api.env.TEXT", text)(hosts)
    body = compose(hosts, "shop", "app1")["services"]["api-blue"]
    assert body["environment"]["TEXT"] == text.replace("$", "$$")


@pytest.mark.parametrize("duration, seconds", [("500ms", "1"), ("1500ms", "2"), ("2m", "120")])
def test_a_short_timeout_is_never_none(duration: str, seconds: str) -> None:
    hosts = good()
    on_all("shop.services.api.health.timeout", duration)(hosts)
    on_all("shop.services.api.start_timeout", duration)(hosts)
    test = compose(hosts, "shop", "app1")["services"]["api-blue"]["healthcheck"]["test"][1]
    assert f"curl -fsS -o /dev/null -m {seconds} " in test and f"timeout={seconds})" in test
    specs = containers(fleet.load(hosts), "shop", "app1", Live(), Secrets(NOWHERE, VALUES))
    assert next(s for s in specs if s.service == "api").start_timeout == int(seconds)


def test_a_health_url_with_a_query_is_one_word_to_the_shell() -> None:
    hosts = good()
    on_all("shop.services.api.health.http", "/api/health?a=1&b=2")(hosts)
    test = compose(hosts, "shop", "app1")["services"]["api-blue"]["healthcheck"]["test"][1]
    assert "curl -fsS -o /dev/null -m 5 'http://127.0.0.1:8000/api/health?a=1&b=2';" in test


def at(release: str) -> Live:
    """A shop and a tasktracker of which one release is live, in blue."""
    names = ("api", "worker", "scheduler", "dashboard", "clock")
    return Live(release=Releases(live=release), slots={name: SlotState(live="blue", blue=release) for name in names})


LIVE = Live(release=Releases(live="1.0.0"), slots={"api": SlotState(live="green", blue="0.9.0", green="1.0.0")})


def test_each_filled_slot_runs_its_own_release() -> None:
    services = compose(good(), "shop", "app1", LIVE)["services"]
    images = {name: body["image"] for name, body in services.items()}
    assert images == {
        "api-blue": "registry.test:5000/shop/api:0.9.0",
        "api-green": "registry.test:5000/shop/api:1.0.0",
        "clock-blue": "registry.test:5000/shop/clock:1.0.0",
    }
    assert services["api-green"]["environment"]["DEPLOYMENT_SLOT"] == "green"
    assert services["api-green"]["ports"] == ["10.0.0.12:18001:8000"]
    assert services["api-green"]["labels"]["changeover.release"] == "1.0.0"
    assert services["api-green"]["labels"]["changeover.slot"] == "green"


def test_a_release_leaves_the_database_and_the_broker_alone() -> None:
    before, after = (compose(staging_hosts(), "tasktracker", "data1", at(release)) for release in ("1.0.0", "1.1.0"))
    assert before == after
    one, two = (compose(staging_hosts(), "tasktracker", "app1", at(r))["services"] for r in ("1.0.0", "1.1.0"))
    assert one["worker-blue"] != two["worker-blue"]
    assert two["worker-blue"]["labels"]["changeover.release"] == "1.1.0"


@pytest.mark.parametrize(
    "asked, live, release",
    [(None, Live(), "1.0.0"), (None, at("1.1.0"), "1.1.0"), ("2.0", LIVE, "2.0"), ("2.0", Live(), "2.0")],
)
def test_which_release_a_run_is_about(asked: str | None, live: Live, release: str) -> None:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    plan: Plan = fleet.load(hosts)
    assert wanted_release(plan, "shop", live) == release


def test_a_layer_writes_its_own_secrets_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one VM the first layer comes before the login of the layers above is made."""
    hosts = good()
    data = {key: value for _, _, values in hosts for key, value in values.items()} | {"address": "10.0.0.9"}
    plan = fleet.load([("one", ["edge", "app", "data", "shop", "hello", "staging"], data)])
    seen: list[str] = []
    monkeypatch.setattr(stack, "tree", lambda files, **_: seen.extend(file.path for file in files()[1:]))
    for number in (1, 2, None):
        stack.files_of_containers(plan, "shop", "one", Live(), Secrets(NOWHERE, VALUES), number)
    database, api = "/srv/shop/secrets/db/POSTGRES_PASSWORD", "/srv/shop/secrets/api-blue/DATABASE_URL"
    assert seen == [database, api, database, api]
