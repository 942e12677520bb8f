"""Flags and Knowledge Proposals, from 1.1.0 on."""

import time
from collections.abc import Callable

import httpx
import pytest

FLAGS = "/api/v1/admin/feature-flags"
PROPOSALS = "/api/v1/knowledge/proposals"


def test_flags_need_the_token(api: httpx.Client) -> None:
    assert api.get(FLAGS).status_code in (401, 503)
    assert api.post(FLAGS, headers={"Authorization": "Bearer wrong"}, json={}).status_code in (401, 503)


@pytest.mark.alone
@pytest.mark.since("1.1.0")
def test_a_flag_is_set_at_run_time_and_put_back(api: httpx.Client, admin: dict[str, str]) -> None:
    def read() -> dict[str, bool]:
        return {one["flag"]: one for one in api.get(FLAGS, headers=admin).json()["flags"]}["expiration"]

    before = read()  # set to what it is, so that nothing changes for anybody
    for value in (before["enabled"], before["enabled"] if before["overridden"] else None):
        answer = api.post(FLAGS, headers=admin, json={"flag": "expiration", "enabled": value})
        assert answer.status_code == 200, answer.text
        assert read()["overridden"] == (value is not None)
    assert read() == before


@pytest.mark.since("1.1.0")
def test_proposals_obey_their_flag(api: httpx.Client, admin: dict[str, str]) -> None:
    flags = {one["flag"]: one["enabled"] for one in api.get(FLAGS, headers=admin).json()["flags"]}
    expected = 200 if flags["knowledge_proposals"] and not flags["internal_only"] else 403
    assert api.get(PROPOSALS).status_code == expected


@pytest.mark.since("1.1.0")
def test_lists_can_be_filtered(api: httpx.Client, proposals_on: None) -> None:
    for query in ({"status": "pending"}, {"entity_type": "atom"}, {"confidence_min": 0.9}):
        items = api.get(PROPOSALS, params=query | {"limit": 5}).raise_for_status().json()["items"]
        assert len(items) <= 5
        for key, value in query.items():
            assert all(one["confidence"] >= value if key == "confidence_min" else one[key] == value for one in items)
    assert api.get(PROPOSALS, params={"status": "nonsense"}).status_code == 422
    assert api.get(f"{PROPOSALS}/00000000-0000-0000-0000-000000000000").status_code == 404


@pytest.mark.worker
@pytest.mark.since("1.1.0")
def test_from_message_to_decision(api: httpx.Client, proposals_on: None, new_id: Callable[[], str]) -> None:
    def pending() -> list[str]:
        items = api.get(PROPOSALS, params={"status": "pending", "limit": 500}).json()["items"]
        return [one["id"] for one in items if words & set(one["title"].split())]

    words = {new_id() for _ in range(4)}
    for word in words:
        body = {"external_id": new_id(), "author": "tests", "content": f"{word} is what we decided"}
        api.post("/api/v1/messages", json=body).raise_for_status()
    limit = time.monotonic() + 45
    while len(ids := pending()) < len(words) and time.monotonic() < limit:
        api.post("/api/v1/knowledge/extract").raise_for_status()
        time.sleep(1)
    assert len(ids) == len(words), "not proposed within 45 s: does the worker run?"
    assert api.post(f"{PROPOSALS}/{ids[0]}/approve").json()["status"] == "approved"
    assert api.post(f"{PROPOSALS}/{ids[1]}/reject").json()["status"] == "rejected"
    assert api.post(f"{PROPOSALS}/{ids[1]}/approve").status_code == 409
    batch = api.post(f"{PROPOSALS}/batch/approve", json={"proposal_ids": ids}).json()
    assert sorted(batch["approved"]) == sorted(ids[2:])
    assert sorted(batch["failed"]) == sorted(ids[:2])
    assert api.get(f"/api/v1/atoms/proposal-{ids[0]}").status_code == 200
