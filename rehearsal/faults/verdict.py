"""What was seen of a fault, and what of it is not as it must be."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fault import Fault

LEASE, MARGIN = 15.0, 5.0  # seconds: of the deploys here; and what the way back may take beyond it
TRACE = "Traceback (most recent call last)"


@dataclass
class Verdict:
    """One fault, tried once. Times in seconds; `lost` of `sent` requests; the deploy's exit code, None when it hung."""

    name: str
    does: str
    wrong: list[str] = field(default_factory=list)
    sent: int = 0
    lost: int = 0
    kinds: list[str] = field(default_factory=list)
    back: float = 0.0
    silent: float = 0.0
    code: int | None = None
    words: str = ""
    took: float = 0.0
    log: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything was as it must be."""
        return not self.wrong

    def row(self) -> dict[str, str]:
        """What docs/faults.md shows of it."""
        return {
            "fault": self.name,
            "does": self.does,
            "lost": f"{self.lost} of {self.sent}",
            "back": f"{self.back:.1f}",
            "code": "killed" if self.code == -9 else str(self.code),
            "words": self.words,
        }

    def lines(self) -> list[str]:
        """The verdict for people."""
        end = "killed by the fault" if self.code == -9 else f"exit code {self.code}"
        lines = [
            f" {self.name:<28} {'as it must' if self.ok else 'NOT as it must'} ({self.took:.0f} s)",
            f"   did       {self.does}",
            f"   deploy    {end}{': ' if self.words else ''}{self.words}",
            f"   requests  {self.lost} of {self.sent} lost{': ' if self.kinds else ''}{'; '.join(self.kinds)}",
            f"   traffic   only the release before from {self.back:.1f} s on; no answer for {self.silent:.1f} s",
        ]
        lines += [f"   wrong     {problem}" for problem in self.wrong]
        return [*lines, f"   log       {self.log}"] if self.wrong else lines


def said_wrong(fault: Fault, code: int | None, text: str, release: str) -> list[str]:
    """What is wrong with the end of the deploy that met the fault, and with its words. Pure.

    Arguments: the fault; exit code (None: it never ended); all that it printed; OLD or NEW: which release is live.
    """
    if TRACE in text:
        return ["it printed a stack trace"]
    if fault.killed:
        return []
    if code is None:
        return ["it never ended"]
    found = []
    if (code == 0) != (release == "new"):
        found.append(f"exit code {code}, and the {release} release is live")
    found += [f"it does not say '{words}'" for words in fault.says if words not in text]
    if code and not any(line.startswith(" next ") for line in text.splitlines()):
        found.append("it names no next step")
    return found
