"""How the command ends: its exit codes (CONTRACTS.md), and a message that holds the fact and the next command."""

from __future__ import annotations

OK, FAILED, USAGE, LOCKED, STALE, UNREACHABLE, PERSON = range(7)

MEANING = {
    OK: "done, or already so",
    FAILED: "failed, and what was begun is undone",
    USAGE: "wrong use",
    LOCKED: "somebody else is at work",
    STALE: "stale transaction or generation",
    UNREACHABLE: "a host cannot be reached",
    PERSON: "needs a person",
}


class Stop(Exception):
    """An end that was foreseen. Arguments: exit code; what is the case; the next command ("" when there is none)."""

    def __init__(self, code: int, fact: str, then: str = "") -> None:
        super().__init__(fact)
        self.code, self.fact, self.then = code, fact, then
