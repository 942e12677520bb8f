"""Health, metrics and the schema."""

import httpx
import pytest


def test_root_names_the_service(api: httpx.Client) -> None:
    assert api.get("/").json() == {"name": "TaskTracker", "status": "ok"}


def test_health_says_alive_with_release_and_slot(api: httpx.Client) -> None:
    body = api.get("/api/health").raise_for_status().json()
    assert body["status"] == "ok" and {"timestamp", "release", "slot"} <= body.keys()


def test_detailed_health_is_ok_in_its_body(api: httpx.Client) -> None:
    body = api.get("/api/health/detailed").raise_for_status().json()
    assert body["status"] == "ok", body["checks"]
    assert {"database", "nats"} <= body["checks"].keys()


def test_metrics_count_requests_by_slot_and_release(api: httpx.Client, release: str) -> None:
    slot = api.get("/api/health").json()["slot"]
    text = api.get("/api/metrics").raise_for_status().text
    labels = f'method="GET",release="{release}",route="/api/health",slot="{slot}",status="200"'
    assert f"http_requests_total{{{labels}}}" in text
    assert "http_request_duration_seconds_bucket" in text


@pytest.mark.since("1.1.0")
def test_proposal_metrics_are_there_before_the_first_proposal(api: httpx.Client) -> None:
    text = api.get("/api/metrics").text
    for name in ("creation_total", "creation_errors_total", "review_total", "creation_duration_seconds_count"):
        assert f"knowledge_proposal_{name}" in text
    assert 'knowledge_proposal_queue_depth{status="pending"}' in text
    assert 'knowledge_duplicates_detected_total{detection_type="semantic"}' in text


def test_schema_lists_what_this_release_has(api: httpx.Client, release: str) -> None:
    schema = api.get("/openapi.json").raise_for_status().json()
    assert schema["info"]["version"] == release
    assert "/api/v1/topics" in schema["paths"]
    assert ("/api/v1/knowledge/proposals" in schema["paths"]) == (release != "1.0.0")
