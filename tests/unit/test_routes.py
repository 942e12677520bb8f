"""Which path of the gateway leads where."""

from __future__ import annotations

import pytest
from plans import good, on_all

from changeover import fleet
from changeover.routes import covers, route_of


@pytest.mark.parametrize(
    "prefix, path, is_covered",
    [
        ("/api", "/api", True),
        ("/api", "/api/x", True),
        ("/api/", "/api", True),
        ("/api", "/api?a=1", True),
        ("/api", "/api/x?a=/y", True),
        ("/api", "/apix", False),
        ("/api", "/x?a=/api/", False),
        ("/", "/", True),
        ("/", "/x", True),
    ],
)
def test_a_prefix_covers_itself_and_all_below(prefix: str, path: str, is_covered: bool) -> None:
    assert covers(prefix, path) is is_covered


def test_the_longest_prefix_takes_the_path_as_nginx_does() -> None:
    hosts = good()
    on_all("shop.services.api.routes", {"/": {}, "/api": {}, "/api/ws": {"websocket": True}})(hosts)
    shop = fleet.load(hosts).systems["shop"]
    assert [getattr(route_of(shop, path), "websocket", None) for path in ("/api/ws", "/api/wsx", "/x")] == [
        True,
        False,
        False,
    ]
    on_all("shop.services.api.routes", {"/api": {}})(hosts)
    assert route_of(fleet.load(hosts).systems["shop"], "/x") is None
