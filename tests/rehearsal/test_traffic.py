"""What a user of the sample system sees through the gateway."""

import json
import socket
import ssl
import uuid

import pytest
from websockets.sync.client import connect

from tests import support


def test_writes_are_read_again_whichever_host_answers(gateway):
    ids = [f"test-{uuid.uuid4()}" for _ in range(20)]
    for external_id in ids:
        answer = gateway.post("/api/v1/topics", json={"external_id": external_id, "name": "a topic"})
        assert answer.status_code == 201, answer.text
    counted = support.ssh(
        "data1",
        "docker exec tasktracker-postgres-1 psql -U postgres -d tasktracker -Atc "
        f'"select count(*) from topics where external_id in ({",".join(map(repr, ids))})"',
    )
    assert counted == "20"


def test_both_application_hosts_take_requests(gateway):
    before = requests_served()
    for _ in range(20):
        assert gateway.get("/api/health").status_code == 200
    after = requests_served()
    assert all(after[host] > before[host] for host in ("app1", "app2")), (before, after)


def requests_served() -> dict[str, float]:
    """Requests to the health route, as each host's application counts them itself."""
    counted = {}
    port = {"blue": 18000, "green": 18001}[support.live()["slots"]["api"]["live"]]
    for host in ("app1", "app2"):
        text = support.ssh(host, f"curl -s http://{support.status()['hosts'][host]['address']}:{port}/api/metrics")
        lines = [x for x in text.splitlines() if x.startswith("http_requests_total{") and '"/api/health"' in x]
        counted[host] = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    return counted


def test_a_socket_hears_of_a_write(gateway):
    status = support.status()["gateway"]
    context = ssl.create_default_context(cafile=status["ca"])
    url = "wss://tasks.staging.test/ws?topics=knowledge"
    raw = socket.create_connection((status["address"], status["https_port"]), 10)
    with connect(url, sock=raw, ssl=context, server_hostname="tasks.staging.test", open_timeout=10) as events:
        external_id = f"test-{uuid.uuid4()}"
        assert gateway.post("/api/v1/topics", json={"external_id": external_id, "name": "heard"}).status_code == 201
        for _ in range(20):
            message = json.loads(events.recv(timeout=10))
            if external_id in json.dumps(message):
                return
    pytest.fail("the socket heard nothing of the write")


def test_detailed_health_names_its_dependencies(gateway):
    body = gateway.get("/api/health/detailed").json()
    assert body["status"] == "ok"
    assert set(body["checks"]) >= {"database", "nats"}


def test_the_dashboard_and_its_assets(gateway):
    page = gateway.get("/dashboard/")
    assert page.status_code == 200
    asset = "/dashboard/" + page.text.split('href="assets/')[1].split('"')[0].join(["assets/", ""])
    assert gateway.get(asset).status_code == 200
    again = gateway.get(asset)
    assert again.headers["x-cache-status"] == "HIT"
    assert "immutable" in again.headers["cache-control"]
