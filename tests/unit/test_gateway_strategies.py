"""The gateway in maintenance and in the middle of a rolling release: who is answered, and by whom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from plans import Hosts, good, on_all
from test_gateway import location, server, server_block, staging  # noqa: F401  (staging is a fixture)

from changeover import fleet
from changeover.hostconfig import config
from hostcmd import site, state


@pytest.mark.parametrize("path", ["/api/health", "/api/health/detailed"])
def test_whoever_watches_the_service_is_answered_in_maintenance_too(staging: Hosts, path: str) -> None:  # noqa: F811
    found = location(server(staging, "tasktracker"), f"= {path}")
    assert "$maintenance" not in found and "proxy_pass http://tasktracker_api_${api_slot}_aside;" in found
    assert "error_page 502 503 504 =503 @unavailable;" in found, "where the app does not run: the page, and when"


def test_asking_what_is_stopped_is_not_why_users_are_not_served(staging: Hosts) -> None:  # noqa: F811
    """nginx passes over a server that failed for 10 s: one that was asked while it was stopped, and is back."""
    text = server(staging, "tasktracker")
    assert "server 172.30.99.12:18000 max_fails=0;" in upstream_block(text, "api_blue_aside")
    assert "server 172.30.99.12:18000;" in upstream_block(text, "api_blue")
    assert "max_fails=0;" in upstream_block(text, "dashboard_green_aside"), "its old assets are asked for, too"


def test_what_was_under_way_when_the_page_came_on_gets_it_too(staging: Hosts) -> None:  # noqa: F811
    """A body is read whole first: one that was sent slowly meets what a recreate stopped meanwhile. Tried on 1.26."""
    text = server(staging, "tasktracker")
    assert "error_page 502 504 = @cut_off;" in server_block(text), "`=`: the answer there decides the status"
    after = location(text, "@cut_off").partition("return 502;")[0]
    assert "if (-f /etc/nginx/slots/tasktracker/maintenance) {" in after, "asked anew: $maintenance is from before"
    assert "Retry-After 60 always;" in after and 'return 503 "<!doctype html>' in after
    assert "error_page" not in location(text, "/dashboard/"), "an ordinary location has the server's"


def test_a_page_for_users_is_no_health_path(staging: Hosts) -> None:  # noqa: F811
    """The dashboard's health is asked at its front page."""
    text = server(staging, "tasktracker")
    assert "$maintenance" in location(text, "/dashboard/") and "location = /dashboard/ " not in text


@pytest.mark.parametrize(
    "routes, health, there",
    [
        ({"/": {}}, "/up", ["/up"]),
        ({"/": {}}, "/", []),
        ({"/shop": {"strip": True}}, "/up", ["/shop/up"]),
        ({"/shop": {}}, "/up", []),
        ({"/shop": {}, "/shop/up": {}}, "/shop/up", []),
        ({"/shop": {}, "/shop/v1": {}}, "/shop/v1/up?a=1", ["/shop/v1/up"]),
    ],
)
def test_which_paths_stay_open(routes: dict[str, dict[str, bool]], health: str, there: list[str]) -> None:
    hosts = good()
    on_all("shop.services.api.routes", routes)(hosts)
    on_all("shop.services.api.health", {"http": health})(hosts)
    on_all("shop.release", {"probe": [{"path": next(iter(routes))}]})(hosts)
    text = server(hosts)
    exact = re.findall(r"location = (\S+) \{", text)
    assert len(exact) == len(set(exact)), "nginx takes a location once only"
    says = "    # Whoever watches the service is answered in maintenance too.\n    location = "
    assert [line.partition(" ")[0] for line in text.split(says)[1:]] == there


def test_a_rolling_release_has_an_upstream_for_each_step(staging: Hosts, golden: Callable[[str, str], None]) -> None:  # noqa: F811
    on_all("overrides", staging[0][2]["overrides"] | {"tasktracker.release.strategy": "rolling"})(staging)
    text = server(staging, "tasktracker")
    golden("edge1.gateway.server.rolling.conf", text)
    assert upstream(text, "api_green1") == ["172.30.99.12:18001", "172.30.99.13:18000"]
    assert upstream(text, "api_blue1") == ["172.30.99.12:18000", "172.30.99.13:18001"]
    assert "if (-f /etc/nginx/slots/tasktracker/live/api.green1) {" in server_block(text)
    assert "dashboard_green1" not in text, "it has one host: blue, then green"


def test_what_is_marked_is_what_the_gateway_knows(staging: Hosts) -> None:  # noqa: F811
    """The host command writes the marks, this file says what they mean: each step of a rolling release."""
    on_all("overrides", staging[0][2]["overrides"] | {"tasktracker.release.strategy": "rolling"})(staging)
    plan = fleet.load(staging)
    text = server(staging, "tasktracker")
    services = site.parse("/", json.loads(config(plan, "tasktracker", "edge1"))).services
    slots = {name: {"live": "blue", "blue": "1", "green": "2"} for name in services}
    turns = [host.name for host in plan.turns("tasktracker")]
    assert turns == ["app1", "app2", "edge1"]
    for ahead in range(len(turns)):
        now = {**state.EMPTY, "slots": slots, "staged": list(services), "rolled": turns[:ahead]}
        for service, mark in state.marks(now, services).items():
            assert f"live/{service}.{mark})" in text
            servers = upstream(text, f"{service}_{mark}")
            hosts = services[service].hosts
            assert len(servers) == len(hosts)
            new = [server for server in servers if server.endswith(("18001", "18011"))]
            assert len(new) == len(set(turns[:ahead]) & set(hosts))


def upstream_block(text: str, name: str) -> str:
    """What is in an upstream of tasktracker's."""
    found = re.search(rf"upstream tasktracker_{name} \{{(.*?)\}}", text, re.DOTALL)
    assert found, f"no upstream {name}"
    return found.group(1)


def upstream(text: str, name: str) -> list[str]:
    """The servers of an upstream of tasktracker's."""
    return re.findall(r"server (\S+);", upstream_block(text, name))
