"""The one error that the rehearsal shows to a person."""


class RehearsalError(Exception):
    """Something a person can act on.

    Arguments: `what` failed (one line), `why` (a few lines, or empty), `next_command` (ready to paste, or empty).
    """

    def __init__(self, what: str, why: str = "", next_command: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.next_command = what, why, next_command

    def text(self) -> str:
        """The error as it is printed: fact, reason, way on."""
        lines = [f"error  {self.what}"]
        lines += [f"       {line}" for line in self.why.strip().splitlines()]
        if self.next_command:
            lines.append(f"next   {self.next_command}")
        return "\n".join(lines)


class Ended(RehearsalError):
    """A step that was ended because another one failed; never the reason that a person is told."""
