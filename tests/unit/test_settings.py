"""Everything a team can get wrong in its settings gives one line that says where, what, and how it is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plans import HELLO, ROOT, Hosts, good, on_all, on_host, production_hosts, regroup, staging_hosts, without
from pyinfra.api.arguments import all_global_arguments
from pyinfra.connectors.ssh import SSHConnector

from changeover import fleet
from changeover.problems import SettingsError

BAD = [
    pytest.param(row, id=f"{file.stem}-{number}")
    for file in sorted(Path(__file__).parent.glob("bad_settings/*.yaml"))
    for number, row in enumerate(yaml.safe_load(file.read_text()), 1)
]


def change_of(row: dict[str, Any]) -> Callable[[Hosts], None]:
    """The change that a row of the table makes to the good plan."""
    if "drop" in row:
        return without(row["drop"])
    changes = [on_host(row["host"], *one) if "host" in row else on_all(*one) for one in row["set"].items()]

    def all_of_them(hosts: Hosts) -> None:
        for change in changes:
            change(hosts)

    return all_of_them


def findings(change: Callable[[Hosts], None]) -> list[str]:
    """What is said about the good plan with one change, without the last line."""
    hosts = good()
    change(hosts)
    with pytest.raises(SettingsError) as error:
        fleet.load(hosts)
    *lines, last = str(error.value).splitlines()
    assert last == f"{len(lines)} error{'s' * (len(lines) > 1)}; nothing was touched"
    return lines


def test_the_good_plan_is_good() -> None:
    plan = fleet.load(good())
    assert list(plan.systems) == ["shop", "hello"]


def test_the_table_is_as_long_as_promised() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize("row", BAD)
def test_one_mistake_is_one_line(row: dict[str, Any]) -> None:
    assert findings(change_of(row)) == [f"error  {row['says']}"]


def test_a_name_of_our_own_cannot_be_a_system() -> None:
    def change(hosts: Hosts) -> None:
        for _, groups, data in hosts:
            if "hello" in groups:
                groups.append("gateway")
                data["gateway"] = data.pop("hello")

    assert findings(change) == [
        "error  group_data/gateway.py  gateway: cannot be a system's name: small letters, digits and _, and not gateway"
    ]


def test_a_service_without_hosts_names_both_groups() -> None:
    assert findings(regroup("data1", ["data", "staging"])) == [
        "error  group_data/shop.py  shop.services.db.on: no host is in both groups data and shop",
        "error  group_data/shop.py  shop.services.queue.on: no host is in both groups data and shop",
    ]


def test_a_system_with_a_name_needs_a_gateway() -> None:
    assert findings(regroup("edge1", ["edge", "hello", "staging"])) == [
        "error  group_data/shop.py  shop.domain: no host is in both groups edge and shop"
    ]


def test_an_inventory_without_a_system_is_refused() -> None:
    def change(hosts: Hosts) -> None:
        for _, _, data in hosts:
            data.pop("shop", None)
            data.pop("hello", None)

    assert findings(change) == [
        "error  inventories/staging.py  no system: no group (app, data, edge, hello, shop, staging) "
        "has a file of its name in group_data"
    ]


def test_a_wrong_value_in_the_systems_file_is_not_blamed_on_an_override_elsewhere() -> None:
    def change(hosts: Hosts) -> None:
        on_all("shop.services.api.memory", "512")(hosts)
        on_all("overrides", {"shop.services.api.cpus": 2.0})(hosts)

    assert findings(change) == ["error  group_data/shop.py  shop.services.api.memory: '512' has no unit; write '512M'"]


def test_all_findings_come_at_once_and_each_once() -> None:
    def change(hosts: Hosts) -> None:
        on_all("shop.services.api.drian", "30s")(hosts)
        on_all("hello.domian", "x")(hosts)
        on_host("app2", "address", "app2")(hosts)
        on_all("overrides", {"shop.services.api.memory": "512"})(hosts)

    assert sorted(findings(change)) == [
        "error  group_data/hello.py  hello.domian: unknown key; did you mean domain?",
        "error  group_data/shop.py  shop.services.api.drian: unknown key; did you mean drain?",
        "error  group_data/staging.py  overrides[\"shop.services.api.memory\"]: '512' has no unit; write '512M'",
        "error  inventories/staging.py  app2.address: 'app2' is no IPv4 address such as 10.0.0.11; "
        "the private address other hosts reach it at",
    ]


def test_overrides_are_in_the_plan_and_leave_the_hosts_data_alone() -> None:
    hosts = good()
    on_all("overrides", {"shop.services.api.cpus": 2.0, "shop.tls": {"certificate": "a", "key": "b"}})(hosts)
    plan = fleet.load(hosts)
    assert plan.systems["shop"].services["api"].cpus == 2.0
    assert plan.systems["shop"].tls is not None and plan.systems["shop"].tls.key == "b"
    assert hosts[0][2]["shop"]["services"]["api"].get("cpus") is None


def test_what_is_under_way_when_a_release_is_recreated_has_stop_grace_alone() -> None:
    def change(hosts: Hosts) -> None:
        on_all("shop.release", {"strategy": "recreate"})(hosts)
        on_all("shop.services.api.drain", "60s")(hosts)

    assert findings(change) == [
        "error  group_data/shop.py  shop.services.api.stop_grace: 30s is all that what is under way has when a release "
        "is recreated, not drain; write 60s, or leave drain out"
    ]


@pytest.mark.parametrize("tag", ["17", "17.2-bookworm", "pg17", "0.8.0-pg17", "stable", "17@sha256:00"])
def test_a_tag_that_fits_or_tells_nothing_about_postgresql(tag: str) -> None:
    hosts = good()
    on_all("shop.services.db.image", f"{{mirror}}/postgres:{tag}")(hosts)
    fleet.load(hosts)


def test_a_mistyped_group_is_not_a_system_that_is_just_not_deployed() -> None:
    hosts = good()
    for _, groups, data in hosts:
        if "hello" in groups:
            groups[groups.index("hello")] = "helo"
            del data["hello"]
    with pytest.raises(SettingsError) as error:
        fleet.load(hosts, files=["shop", "hello", "staging", "prod"])
    assert str(error.value).splitlines() == [
        "error  inventories/staging.py  helo: no file group_data/helo.py; is the group hello meant?",
        "1 error; nothing was touched",
    ]
    fleet.load(good(), files=["shop", "hello", "staging", "prod", "apps", "edges"])


def test_a_port_may_be_used_again_on_another_host() -> None:
    hosts = good()
    on_all("hello.services.web.publish", 5432)(hosts)  # shop's database has it, on data1
    fleet.load(hosts)


def test_braces_that_are_no_placeholders_are_left_alone() -> None:
    hosts = good()
    on_all("shop.services.api.env.FORMAT", '{"a": {"b": 1}} {message} {}')(hosts)
    fleet.load(hosts)


def test_pyinfras_own_names_are_known_names() -> None:
    assert set(SSHConnector.data_meta) == fleet.SSH_KEYS
    assert {name for name, _ in all_global_arguments() if name != "name"} == fleet.ARGUMENTS


def test_a_files_own_helpers_are_no_mistakes() -> None:
    hosts = good()
    for name in ("_app_env", "_registry", "_nodelay", "_hosts", "_image", "_secrets", "_common"):
        on_all(name, "x")(hosts)
    fleet.load(hosts)


def test_the_example_for_production_loads() -> None:
    plan = fleet.load(production_hosts())
    assert plan.fleet.environment == "production"
    assert [host.name for host in plan.hosts_of("tasktracker", "api")] == ["app1.example.com", "app2.example.com"]
    assert plan.systems["tasktracker"].tls is not None


def test_the_staging_settings_load_for_the_rehearsals_places() -> None:
    plan = fleet.load(staging_hosts())
    assert plan.fleet.environment == "staging"
    assert plan.systems_on("app1") == ["tasktracker", "hello"]
    assert plan.systems_on("ops1") == []


def test_ten_lines_are_enough_for_a_second_system() -> None:
    lines = (ROOT / "group_data/hello.py").read_text().splitlines()
    assert len(lines) <= 10
    hosts: Hosts = [("one", ["edge", "app", "hello", "prod"], {"address": "10.0.0.1", "fleet": {"registry": "r"}})]
    hosts[0][2]["hello"] = HELLO
    assert list(fleet.load(hosts).systems) == ["hello"]
