"""The gateway's files: S1's routes and limits, one server file per system, and slots that a symlink switches."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from plans import Hosts, good, on_all, production_hosts, staging_hosts

from changeover import fleet, gateway
from changeover.files import File, digest_of


@pytest.fixture
def staging(tmp_path: Path) -> Hosts:
    hosts = staging_hosts()
    for name in ("server.crt", "server.key"):
        (tmp_path / name).write_text(f"the text of {name}\n")
    tls = {"certificate": str(tmp_path / "server.crt"), "key": str(tmp_path / "server.key")}
    for _, _, data in hosts:
        data["overrides"] = data["overrides"] | {"tasktracker.tls": tls, "hello.tls": tls}
    return hosts


def files(hosts: Hosts, host: str = "edge1") -> dict[str, File]:
    """{path below the gateway's conf: file} of a gateway."""
    made = gateway.files(fleet.load(hosts), host)
    return {file.path.removeprefix("/srv/gateway/conf/"): file for file in made}


def server(hosts: Hosts, system: str = "shop") -> str:
    return files(hosts)[f"servers/{system}.conf"].content


def location(text: str, match: str) -> str:
    """What is in a location of a server file."""
    found = re.search(rf"^    location {re.escape(match)} \{{\n(.*?)^    \}}", text, re.MULTILINE | re.DOTALL)
    assert found, f"no location {match} in:\n{text}"
    return found.group(1)


def test_files_as_a_whole(staging: Hosts, golden: Callable[[str, str], None]) -> None:
    made = files(staging)
    golden("edge1.gateway.nginx.conf", made["nginx.conf"].content)
    golden("edge1.gateway.server.tasktracker.conf", made["servers/tasktracker.conf"].content)
    golden("edge1.gateway.server.hello.conf", made["servers/hello.conf"].content)
    golden("edge1.gateway.compose.yaml", gateway.compose(fleet.load(staging)).content)


def test_which_files_there_are_and_who_may_read_them(staging: Hosts) -> None:
    modes = {path: (file.mode, file.owner) for path, file in files(staging).items()}
    assert modes == {
        "nginx.conf": ("644", "root"),
        "proxy_headers.conf": ("644", "root"),
        "servers/tasktracker.conf": ("644", "root"),
        "servers/hello.conf": ("644", "root"),
        "tls/tasktracker.crt": ("644", "root"),
        "tls/tasktracker.key": ("600", "root"),
        "tls/hello.crt": ("644", "root"),
        "tls/hello.key": ("600", "root"),
    }
    folders = {folder.path: folder.mode for folder in gateway.directories(fleet.load(staging), "edge1")}
    assert folders["/srv/gateway/conf/tls"] == "700"
    assert {"/srv/gateway/slots/tasktracker", "/srv/gateway/slots/hello"} <= folders.keys()


def test_every_file_says_who_wrote_it(staging: Hosts) -> None:
    for path, file in files(staging).items():
        assert path.startswith("tls/") or "managed by changeover; made from templates/nginx/" in file.content


def test_a_key_shows_nowhere(staging: Hosts) -> None:
    made = gateway.files(fleet.load(staging), "edge1")
    assert "the text of server.key" not in repr(made)
    assert not [f.path for f in made if "the text of server.key" in f.content and not f.path.endswith(".key")]


def test_s1s_container(staging: Hosts) -> None:
    """S1: 0.5 cores, 256 MB, 0.1 cores and 64 MB kept; health every 30s, 10s, 3 times, after 10s; ports 80 and 443."""
    nginx = yaml.safe_load(gateway.compose(fleet.load(staging)).content)["services"]["nginx"]
    assert (nginx["cpus"], nginx["mem_limit"], nginx["cpu_shares"], nginx["mem_reservation"]) == (
        0.5,
        "256M",
        102,
        "64M",
    )
    check = nginx["healthcheck"]
    times = (check["interval"], check["timeout"], check["retries"], check["start_period"])
    assert times == ("30s", "10s", 3, "10s")
    assert "http://127.0.0.1:80/nginx-health" in check["test"][1]
    text = server(staging, "tasktracker")
    assert re.findall(r"listen (\d+)", text) == ["80", "443"]
    assert text.count("location = /nginx-health") == 2


def test_s1s_routes(staging: Hosts) -> None:
    text = server(staging, "tasktracker")
    assert "proxy_pass http://tasktracker_api_$api_slot;" in location(text, "/api/")
    assert "proxy_read_timeout 86400s;" in location(text, "/ws/")
    assert "proxy_set_header Upgrade $http_upgrade;" in location(text, "= /ws")
    assert "Upgrade" not in location(text, "/api/")
    dashboard = location(text, "/dashboard/")
    assert "proxy_pass http://tasktracker_dashboard_$dashboard_slot;" in dashboard
    assert "rewrite ^/dashboard/(.*)$ /$1 break;" in dashboard
    assert "proxy_cache assets;" in location(text, "/dashboard/assets/")


def server_block(text: str) -> str:
    """What is said for the whole of the server that routes, before its first location below the slots."""
    return text[text.index("    set $api_slot none;") : text.index("    location = /api")]


@pytest.mark.parametrize("service", ["api", "dashboard"])
def test_a_switch_is_seen_with_the_next_request(staging: Hosts, service: str) -> None:
    """No slot until a mark says one: the marks are files that nginx looks for with each request."""
    text = server_block(server(staging, "tasktracker"))
    assert f"    set ${service}_slot none;\n    set ${service}_other none;\n" in text
    for slot, other in (("blue", "green"), ("green", "blue")):
        assert (
            f"    if (-f /etc/nginx/slots/tasktracker/live/{service}.{slot}) {{\n"
            f"        set ${service}_slot {slot};\n"
            f"        set ${service}_other {other};\n"
            "    }\n"
        ) in text


@pytest.mark.parametrize(
    "match, service",
    [
        ("= /api", "api"),
        ("/api/", "api"),
        ("= /ws", "api"),
        ("/ws/", "api"),
        ("/dashboard/", "dashboard"),
        ("/dashboard/assets/", "dashboard"),
    ],
)
def test_no_route_is_served_in_maintenance_or_without_a_slot(staging: Hosts, match: str, service: str) -> None:
    first, second, *rest = location(server(staging, "tasktracker"), match).splitlines()
    assert first.strip() == "if ($maintenance) { return 503; }"
    assert second.strip() == f"if (${service}_slot = none) {{ return 503; }}"
    assert any("proxy_pass" in line for line in rest)


def test_maintenance_is_a_file_of_the_host_command_and_says_when_to_come_back(staging: Hosts) -> None:
    text = server(staging, "tasktracker")
    assert "if (-f /etc/nginx/slots/tasktracker/maintenance) { set $maintenance on; }" in server_block(text)
    assert "error_page 503 @unavailable;" in server_block(text)
    page = location(text, "@unavailable")
    assert "return 503 " in page and "tasks.staging.test is being worked on" in page
    assert "add_header Retry-After 60 always;" in page and "add_header Cache-Control no-store always;" in page


def test_maintenance_is_there_for_a_service_without_slots_too() -> None:
    text = server(good(), "hello")
    assert "if (-f /etc/nginx/slots/hello/maintenance) { set $maintenance on; }" in text
    assert "if ($maintenance) { return 503; }" in location(text, "/")


def test_a_page_of_the_other_slot_still_gets_its_assets(staging: Hosts) -> None:
    text = server(staging, "tasktracker")
    assert "error_page 404 = @dashboard_other_assets;" in location(text, "/dashboard/assets/")
    other = location(text, "@dashboard_other_assets")
    assert "if ($dashboard_other = none) { return 404; }" in other
    assert "proxy_pass http://tasktracker_dashboard_${dashboard_other}_aside;" in other
    assert "error_page 502 503 504 =404 " in other, "a slot that is stopped has no assets; that is no outage"
    for match in ("/dashboard/assets/", "@dashboard_other_assets"):  # or nginx hands out the 502 (tried on 1.26)
        assert "recursive_error_pages on;" in location(text, match)


def test_assets_without_slots_have_no_other() -> None:
    hosts = good()
    on_all("hello.services.web.routes", {"/shop": {"assets": "assets/"}})(hosts)
    text = server(hosts, "hello")
    assert "proxy_cache assets;" in location(text, "/shop/assets/")
    assert "other" not in text.replace("another", "")


def test_each_slot_reaches_every_host_on_its_own_port(staging: Hosts) -> None:
    text = server(staging, "tasktracker")
    for slot, port in {"blue": 18000, "green": 18001}.items():
        upstream = re.search(rf"upstream tasktracker_api_{slot} \{{(.*?)\}}", text, re.DOTALL)
        assert upstream
        assert re.findall(r"server (\S+);", upstream.group(1)) == [f"172.30.99.12:{port}", f"172.30.99.13:{port}"]


def test_a_service_without_slots_is_reached_at_its_published_port() -> None:
    text = server(good(), "hello")
    assert "upstream hello_web {\n    server 10.0.0.12:18100;\n    server 10.0.0.13:18100;\n" in text
    assert "proxy_pass http://hello_web;" in location(text, "/")
    assert "_slot" not in text


def test_without_a_certificate_the_routes_are_on_plain_http() -> None:
    text = server(good())
    assert "ssl" not in text and "return 308 https" not in text
    assert text.count("server_name shop.test;") == 1
    location(text, "/api/")


@pytest.mark.parametrize("port, suffix", [(443, ""), (8443, ":8443")])
def test_plain_http_is_sent_to_the_port_that_tls_is_on(staging: Hosts, port: int, suffix: str) -> None:
    for _, _, data in staging:
        data["overrides"] = data["overrides"] | {"fleet.gateway.https_port": port}
    assert f"return 308 https://$host{suffix}$request_uri;" in server(staging, "tasktracker")


@pytest.mark.parametrize("timeout, seconds", [("500ms", 1), ("90s", 90), ("24h", 86400)])
def test_a_short_timeout_is_not_none(timeout: str, seconds: int) -> None:
    hosts = good()
    on_all("shop.services.api.routes", {"/api": {"timeout": timeout, "websocket": True}})(hosts)
    assert f"proxy_read_timeout {seconds}s;" in location(server(hosts), "/api/")


def test_a_prefix_does_not_catch_a_longer_word() -> None:
    text = server(good())
    assert re.findall(r"location (\S+ ?/api\S*) \{", text) == ["= /api/health", "= /api"]
    assert re.findall(r"location (/api\S*) \{", text) == ["/api/"]


def test_only_hosts_of_a_system_serve_it() -> None:
    hosts = good()
    hosts.append(
        ("edge2", ["edge", "hello", "staging"], {"address": "10.0.0.20", **hosts[0][2]} | {"address": "10.0.0.20"})
    )
    del hosts[-1][2]["shop"]
    plan = fleet.load(hosts)
    assert gateway.systems(plan, "edge1") == ["shop", "hello"]
    assert gateway.systems(plan, "edge2") == ["hello"]
    assert [h.name for h in plan.gateways("hello")] == ["edge1", "edge2"]
    assert plan.coordinator("hello").name == "edge1"


def test_a_run_for_one_system_still_writes_all_of_them() -> None:
    hosts = good()
    on_all("system", "hello")(hosts)
    assert {"servers/shop.conf", "servers/hello.conf"} <= files(hosts).keys()


def test_production_has_its_own_names_and_certificates() -> None:
    plan = fleet.load(production_hosts())
    common = {"gateway": plan.fleet.gateway, "conf": gateway.CONF, "slots": gateway.SLOTS}
    text = gateway.server(plan, "tasktracker", common)
    assert "server_name tasks.example.com;" in text and "staging" not in text


def test_the_checker_is_the_gateways_own_nginx_without_network() -> None:
    words = gateway.check_command(fleet.load(good()))
    image = words.index("mirror.test:5000/library/nginx:1.26")
    options = " ".join(words[:image])
    assert options.startswith("docker run --rm ") and " --network none " in options
    assert options.endswith(" -v {}:/etc/nginx/changeover:ro")
    assert words[image + 1 :] == ["nginx", "-t", "-q", "-c", "/etc/nginx/changeover/nginx.conf"]


def test_the_digest_moves_with_content_path_mode_and_owner_only() -> None:
    one = File("/a", "x")
    assert digest_of([one, File("/b", "y")]) == digest_of([File("/b", "y"), one])
    others = [File("/a", "y"), File("/c", "x"), File("/a", "x", mode="600"), File("/a", "x", owner="me")]
    assert len({digest_of([file]) for file in [one, *others]}) == 5
