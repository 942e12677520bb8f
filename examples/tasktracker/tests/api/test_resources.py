"""Topics, atoms, messages; export; the worker's way in."""

import csv
import hashlib
import io
import os
import time
from collections.abc import Callable

import httpx
import pytest

BODIES = {
    "topics": {"name": "A topic"},
    "atoms": {"title": "An atom"},
    "messages": {"author": "tests", "content": "A message?"},
}
each_kind = pytest.mark.parametrize("kind", BODIES)


@each_kind
def test_written_is_read_and_listed(api: httpx.Client, new_id: Callable[[], str], kind: str) -> None:
    name = new_id()
    answer = api.post(f"/api/v1/{kind}", json=BODIES[kind] | {"external_id": name})
    assert answer.status_code == 201, answer.text
    assert api.get(f"/api/v1/{kind}/{name}").json() == answer.json()
    assert name in [one["external_id"] for one in api.get(f"/api/v1/{kind}?limit=500").json()]


@each_kind
def test_a_repeat_is_409(api: httpx.Client, new_id: Callable[[], str], kind: str) -> None:
    body = BODIES[kind] | {"external_id": new_id()}
    assert [api.post(f"/api/v1/{kind}", json=body).status_code for _ in range(2)] == [201, 409]


@each_kind
def test_wrong_input_is_refused(api: httpx.Client, new_id: Callable[[], str], kind: str) -> None:
    assert api.get(f"/api/v1/{kind}/{new_id()}").status_code == 404
    assert api.post(f"/api/v1/{kind}", json=BODIES[kind]).status_code == 422
    assert api.get(f"/api/v1/{kind}?limit=0").status_code == 422


def test_a_topic_that_is_not_there_is_422(api: httpx.Client, new_id: Callable[[], str]) -> None:
    body = BODIES["messages"] | {"external_id": new_id(), "topic_id": 2_000_000_000}
    assert api.post("/api/v1/messages", json=body).status_code == 422


def test_export_holds_a_topic_just_written(api: httpx.Client, new_id: Callable[[], str]) -> None:
    name = new_id()
    api.post("/api/v1/topics", json={"external_id": name, "name": 'With "quotes", and a comma'}).raise_for_status()
    answer = api.get("/api/v1/export").raise_for_status()
    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["external_id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows[name]["name"] == 'With "quotes", and a comma'


def test_upload_arrives_whole(api: httpx.Client) -> None:
    body = os.urandom(2_000_000)
    expected = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
    assert api.post("/api/v1/upload", content=body).json() == expected


@pytest.mark.worker
def test_the_worker_saves_and_scores_what_is_ingested(api: httpx.Client, new_id: Callable[[], str]) -> None:
    name = new_id()
    message = BODIES["messages"] | {"external_id": name}
    assert api.post("/api/v1/ingest", json=[message, message]).status_code == 202
    limit = time.monotonic() + 30
    while (answer := api.get(f"/api/v1/messages/{name}")).status_code == 404 and time.monotonic() < limit:
        time.sleep(0.2)
    assert answer.status_code == 200, "not saved within 30 s: does the worker run?"
    assert answer.json()["importance_score"] is not None
