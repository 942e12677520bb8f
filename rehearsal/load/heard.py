"""What the sockets should have heard and did hear, and how they were closed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .series import EXAMPLES, Window
from .sockets import OWN, Session, Write

RESTART = 1012  # RFC 6455's registry: service restart, the client should come back
BEFORE_END = 2.0  # seconds before a close in which an event may be lost with the socket


def judge(sessions: Sequence[Session], writes: Sequence[Write], windows: Sequence[Window] = ()) -> dict[str, Any]:
    """Closes by code, events heard and missed, and what went wrong. Pure.

    An event counts as missed when its write was taken while the socket was subscribed, and not within BEFORE_END of
    its close. With `windows` (switches) it tells how many events came over a switch: to a socket that was open before
    one began, of a write sent after it was over.
    """
    expected = missed = twice = received = over = 0
    examples: list[dict[str, Any]] = []
    for session in filter(lambda one: one.opened, sessions):
        heard = Counter(session.received)
        received += len(heard)
        twice += sum(count - 1 for count in heard.values())
        last = session.closed if session.code == OWN else session.closed - BEFORE_END
        began = [until for since, until in windows if session.opened < since]
        for write in writes:
            if write.number in heard and began and write.sent > min(began):
                over += 1
            if not (write.ok and session.opened <= write.sent and write.answered <= last):
                continue
            expected += 1
            if write.number not in heard:
                missed += 1
                examples.append({"socket": session.socket, "write": write.number, "t": round(write.sent, 3)})
    wrong = [one for one in sessions if one.opened and one.code not in (OWN, RESTART)]
    unopened = [one for one in sessions if not one.opened]
    return {
        "sockets": len({one.socket for one in sessions}),
        "sessions": len(sessions),
        "closes": dict(Counter("ours" if one.code == OWN else str(one.code) for one in sessions if one.opened)),
        "wrong_closes": _first(wrong),
        "not_opened": _first(unopened),
        "writes": len(writes),
        "events": {"expected": expected, "received": received, "missed": missed, "twice": twice, "over_switch": over},
        "missed": examples[:EXAMPLES],
        "ok": not (missed or wrong or unopened),
    }


def _first(sessions: Sequence[Session]) -> dict[str, Any]:
    shown = [
        {"socket": one.socket, "t": round(one.closed, 3), "code": one.code, "error": one.error} for one in sessions
    ]
    return {"count": len(shown), "first": shown[:EXAMPLES]}
