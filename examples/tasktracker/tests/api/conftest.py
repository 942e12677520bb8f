"""The api tests run against any slot: BASE_URL says which, ADMIN_TOKEN opens the admin endpoints.

OTHER_URL     another slot or host of the same system: events are written there and must be heard here
MAY_SET_FLAGS 1: a test may turn the flag knowledge_proposals on for its own time (never on production)
SSL_CERT_FILE the CA of a private gateway, as usual
"""

import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest

FLAGS = "/api/v1/admin/feature-flags"


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers."""
    config.addinivalue_line("markers", "since(release): only on servers of this release or newer")
    config.addinivalue_line("markers", "worker: needs a running worker")
    config.addinivalue_line("markers", "alone: changes what all slots share; fails when another run does so just then")


def numbers(release: str) -> tuple[int, ...]:
    """A release, to compare."""
    return tuple(int(part) for part in release.split("."))


@pytest.fixture(scope="session")
def base_url() -> str:
    """The slot under test."""
    if not os.environ.get("BASE_URL"):
        pytest.exit("BASE_URL is not set; for example BASE_URL=http://127.0.0.1:18001 pytest tests/api -q", 2)
    return os.environ["BASE_URL"].rstrip("/")


@pytest.fixture(scope="session")
def api(base_url: str) -> Iterator[httpx.Client]:
    """A client that does not retry."""
    with httpx.Client(base_url=base_url, timeout=15) as client:
        yield client


@pytest.fixture(scope="session")
def release(api: httpx.Client) -> str:
    """The release the server says it is."""
    return api.get("/api/health").json()["release"]


@pytest.fixture(autouse=True)
def _since(request: pytest.FixtureRequest) -> None:
    """Skip what this server's release does not have yet."""
    if marker := request.node.get_closest_marker("since"):
        release = request.getfixturevalue("release")
        if numbers(release) < numbers(marker.args[0]):
            pytest.skip(f"needs release {marker.args[0]}; the server says {release}")


@pytest.fixture(scope="session")
def admin() -> dict[str, str]:
    """The headers that open the admin endpoints."""
    if not os.environ.get("ADMIN_TOKEN"):
        pytest.skip("ADMIN_TOKEN is not set")
    return {"Authorization": f"Bearer {os.environ['ADMIN_TOKEN']}"}


@pytest.fixture
def new_id() -> Callable[[], str]:
    """Names no one used before; the rows that tests leave behind begin with api-test-."""
    return lambda: f"api-test-{uuid4()}"


@pytest.fixture
def proposals_on(api: httpx.Client, admin: dict[str, str]) -> Iterator[None]:
    """The flag knowledge_proposals on: as it is, or by this test where MAY_SET_FLAGS=1, and then put back."""
    state = {one["flag"]: one for one in api.get(FLAGS, headers=admin).json()["flags"]}["knowledge_proposals"]
    if state["enabled"]:
        yield
        return
    if os.environ.get("MAY_SET_FLAGS") != "1":
        pytest.skip("the flag knowledge_proposals is off, and MAY_SET_FLAGS is not 1")
    api.post(FLAGS, headers=admin, json={"flag": "knowledge_proposals", "enabled": True}).raise_for_status()
    yield
    before = False if state["overridden"] else None
    api.post(FLAGS, headers=admin, json={"flag": "knowledge_proposals", "enabled": before}).raise_for_status()
