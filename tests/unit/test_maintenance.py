"""operations/maintenance.py: the page, asked for only when it is not so already."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakes import Outcome

from changeover.live import Live, parse
from hostcmd import options
from operations import maintenance

Run = Callable[..., Outcome]
PAGE = {"by": "me@here", "why": "moving", "since": "2026-11-22T00:00:00Z", "until": None}


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("shown", [None, PAGE])
def test_the_page_is_asked_for_when_it_is_not_so(run: Run, on: bool, shown: dict | None) -> None:
    live = Live(maintenance=shown)
    words = ["maintenance", "shop", "on" if on else "off", "--by", "me@here"]
    done = run(maintenance.page, {}, already=bool(live.maintenance) == on, words=words)
    assert done.changed == (bool(shown) != on)
    assert options.parser().parse_args(words).action == ("on" if on else "off")


def test_the_hosts_state_says_whether_the_page_is_on() -> None:
    assert parse(None).maintenance is None
    assert parse('{"schema": 1, "maintenance": {"by": "me", "why": "moving"}}').maintenance == {
        "by": "me",
        "why": "moving",
    }
