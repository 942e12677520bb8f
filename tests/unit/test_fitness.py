"""Everything a host can have that speaks against it gives one line: the fact, and what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from plans import good, on_all

from changeover import fleet
from changeover.fitness import entry, findings, may_look, packaged, together
from changeover.live import Live, Releases
from changeover.look import Access, Look, folders, ports, question
from changeover.plan import Plan

ROWS = yaml.safe_load((Path(__file__).parent / "bad_hosts.yaml").read_text())
WHO: dict[str, Any] = {
    "os": "debian",
    "version": "13",
    "uid": "1000",
    "user": "admin",
    "path": "/usr/local/bin:/usr/bin:/bin",
    "sudo": "yes",
    "python": "3.13.5",
}
SEEN: dict[str, Any] = {
    "uid": 0,
    "path": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "hostname": "app1",
    "memory": 4096,
    "available": 3000,
    "disks": {"/var/lib/docker": 20000},
    "cpus": 4,
    "addresses": ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14", "10.200.0.1"],
    "engine": {"path": "/usr/bin/docker", "version": "26.1.5"},
}
FIRST = {"shop": Live(), "hello": Live()}


def said(row: dict[str, Any]) -> list[str]:
    """What is said of a good host with one change."""
    hosts, name = good(), row.get("host", "app1")
    for path, value in row.get("data", {}).items():
        on_all(path, value)(hosts)
    plan, here = fleet.load(hosts), Look(**SEEN | row.get("look", {}))
    access = Access(**WHO | row.get("entry", {}))
    return [
        *entry(access, by_sudo=True),
        *packaged(plan, access),
        *findings(plan, name, here, FIRST),
        *together({name: here})[name],
    ]


def test_a_good_host_has_nothing_against_it() -> None:
    assert [line for name in ("edge1", "app1", "app2", "data1") for line in said({"host": name})] == []


@pytest.mark.parametrize("row", ROWS, ids=range(1, len(ROWS) + 1))
def test_one_fault_is_one_line(row: dict[str, Any]) -> None:
    assert said(row) == [row["says"]]


def test_the_table_is_long_and_every_line_names_a_way() -> None:
    assert len(ROWS) >= 40
    way = "run see known name end give mend write take try else set put lower when".split()
    assert [row["says"] for row in ROWS if not any(word in row["says"] for word in way)] == []


def test_a_shell_that_says_something_else_is_a_finding() -> None:
    (line,) = entry(None, by_sudo=True)
    assert "does not answer as a shell does" in line and not may_look(None, by_sudo=True)


@pytest.mark.parametrize(
    "change, by_sudo, may",
    [
        ({}, True, True),
        ({"sudo": "sudo: a password is required"}, True, False),
        ({"sudo": "sudo: a password is required"}, False, True),
        ({"sudo": "", "uid": "0"}, True, False),
        ({"sudo": "", "uid": "0"}, False, True),
    ],
    ids=["sudo", "no sudo", "another way to be root", "root that is told to use sudo", "root itself"],
)
def test_who_may_look(change: dict[str, str], by_sudo: bool, may: bool) -> None:
    access = Access(**WHO | change)
    assert may_look(access, by_sudo) is may
    assert bool(entry(access, by_sudo)) is not may


# --- who holds what


def container(**changes: Any) -> dict[str, Any]:
    """The container of shop's blue slot, as a deploy makes it."""
    made = {"id": "a" * 64, "name": "shop-api-blue-1", "project": "shop", "folder": "/srv/shop", "system": "shop"}
    return {**made, "service": "api", "ports": [["10.0.0.12", 18000]], **changes}


PROXY = {"address": "10.0.0.12", "port": 18000, "pid": 9, "who": "docker-proxy", "unit": "docker.service"}


@pytest.mark.parametrize(
    "look",
    [
        {"containers": [container()], "held": [PROXY]},
        {"held": [{**PROXY, "address": "127.0.0.1", "who": "node", "unit": ""}]},
        {"containers": [container(ports=[["127.0.0.1", 18001]], project="bob", folder="/b")]},
        {"containers": [container(project="bob", folder="/b", running=False)]},
        {"held": [{**PROXY, "port": 18555, "who": "node"}]},
        {"containers": [container(service="web", project="hello", system="hello", folder="/srv/hello")]},
    ],
    ids=[
        "our own",
        "on another address",
        "a container on another address",
        "a container that is stopped",
        "another port",
        "a service of ours that this deploy itself moves",
    ],
)
def test_what_is_in_nobodys_way(look: dict[str, Any]) -> None:
    assert said({"look": look}) == []


def test_the_gateways_own_nginx_is_known_by_its_container() -> None:
    own = container(name="gateway-nginx-1", project="gateway", folder="/srv/gateway", system="", service="", ports=[])
    held = {"address": "0.0.0.0", "port": 443, "pid": 9, "who": "nginx", "unit": "", "container": "a" * 64}
    assert said({"host": "edge1", "look": {"containers": [own], "held": [held]}}) == []
    (line,) = said({"host": "edge1", "look": {"containers": [own | {"folder": "/home/bob"}], "held": [held]}})[1:]
    assert "port 443 (fleet.gateway.https_port) is held by the container gateway-nginx-1 of /home/bob" in line


def test_a_proxy_whose_container_is_not_there_is_named_itself() -> None:
    (line,) = said({"look": {"held": [PROXY]}})
    assert "is held by docker-proxy (pid 9, docker.service)" in line


def test_who_is_gone_at_the_second_look_is_said_to_be() -> None:
    (line,) = said({"look": {"held": [{"address": "0.0.0.0", "port": 18000}]}})
    assert "is held by nobody who shows; give it another port" in line


# --- memory


def test_a_running_release_needs_no_free_memory() -> None:
    plan, here = fleet.load(good()), Look(**SEEN | {"available": 10})
    slots = {name: {"live": "blue", "blue": "1.0.0"} for name in ("api", "clock")}
    live = {"shop": Live(release=Releases(live="1.0.0"), slots=slots), "hello": Live(release=Releases(live="1.26"))}  # type: ignore[arg-type]
    assert findings(plan, "app1", here, live) == []


def test_memory_may_be_promised_twice_where_the_settings_say_so() -> None:
    row: dict[str, Any] = {"look": {"memory": 2000}, "data": {"fleet.memory_overcommit": 2.0}}
    assert said(row) == []


def test_recreate_never_runs_both_slots() -> None:
    (line,) = said({"look": {"memory": 1500}, "data": {"shop.release": {"strategy": "recreate"}}})
    assert "add up to 1536M" in line


# --- all hosts together


def looks(**skews: float) -> dict[str, Look]:
    return {name: Look(**SEEN | {"hostname": name, "skew": skew, "unsure": 0.2}) for name, skew in skews.items()}


def test_clocks_that_are_right_are_not_talked_about() -> None:
    assert together(looks(edge1=0.1, app1=-4.0, app2=5.1)) == {"edge1": [], "app1": [], "app2": []}


def test_one_clock_that_is_wrong_is_compared_with_the_others_too() -> None:
    found = together(looks(edge1=0.0, app1=61.0, app2=1.0))
    assert found["edge1"] == found["app2"] == []
    (line,) = found["app1"]
    assert line.startswith("its clock is 61 s ahead of the control machine's, 60 s ahead of the hosts' middle; run: ")


def test_where_all_hosts_agree_it_is_this_machine() -> None:
    found = together(looks(edge1=-300.0, app1=-301.0, app2=-299.0))
    assert found["app1"] == found["app2"] == []
    assert found["edge1"] == [
        "the control machine's clock is 300 s ahead of all 3 hosts'; set it right: sudo chronyc makestep, "
        "or timedatectl set-ntp true"
    ]


def test_a_slow_answer_is_no_wrong_clock() -> None:
    slow = {"app1": Look(**SEEN | {"skew": 8.0, "unsure": 4.0})}
    assert together(slow) == {"app1": []}


def test_two_hosts_of_one_name() -> None:
    same = {name: Look(**SEEN | {"hostname": "debian"}) for name in ("app1", "app2")}
    assert together(same) == {
        "app1": [],
        "app2": ["its hostname debian is app1's too; name it: sudo hostnamectl set-hostname app2"],
    }


# --- what is asked


def plan_with(**data: Any) -> Plan:
    hosts = good()
    for path, value in data.items():
        on_all(path.replace("__", "."), value)(hosts)
    return fleet.load(hosts)


def test_what_a_host_is_asked() -> None:
    asked = question(plan_with(), "edge1", FIRST, "/etc/docker/daemon.json")
    assert asked["ports"] == [80, 443]
    assert asked["images"] == ["mirror.test:5000/library/nginx:1.26"]
    assert asked["foreign"][:2] == ["/etc/docker/daemon.json", "/srv/shop/compose.yaml"]
    assert "/srv/gateway/docker-compose.yml" in asked["foreign"]
    on_app = question(plan_with(fleet__daemon={"data-root": "/data"}), "app1", FIRST, "d")
    assert on_app["ports"] == [18000, 18001, 18100] and on_app["engine_root"] == "/data"
    assert on_app["images"] == [
        "registry.test:5000/shop/api:1.0.0",
        "registry.test:5000/shop/clock:1.0.0",
        "mirror.test:5000/library/nginx:1.26",
    ]
    assert set(on_app["looked_up"]) >= set(on_app["images"][:2]), "tags of a release"
    on_data = question(plan_with(), "data1", FIRST, "d")
    assert set(on_data["images"]) - set(on_data["looked_up"]), "a database has a tag of its own"


def test_images_are_asked_for_as_they_were_written_down() -> None:
    pinned = f"registry.test:5000/shop/api:1.0.0@sha256:{'a' * 64}"
    live = {"shop": Live(release=Releases(live="1.0.0"), images={"1.0.0": {"api": pinned}})}
    asked = question(plan_with(), "app1", live, "d")
    assert asked["images"][0] == pinned and pinned not in asked["looked_up"]


def test_a_development_port_is_not_asked_for_in_production() -> None:
    dev = plan_with(shop__services__api__dev_ports={9000: 8000})
    assert [one.address for one in ports(dev, "app1") if one.port == 9000] == ["127.0.0.1"]
    closed = plan_with(shop__services__api__dev_ports={9000: 8000}, fleet__environment="production")
    assert [one for one in ports(closed, "app1") if one.port == 9000] == []


def test_the_folders_that_are_ours() -> None:
    assert folders(plan_with(), "edge1") == {"shop": "/srv/shop", "hello": "/srv/hello", "gateway": "/srv/gateway"}
    assert "gateway" not in folders(plan_with(), "app1")
