"""Kills the command in front of (or in the middle of) its n-th write, in a process of its own."""

import os

from hostcmd import cli, run

WRITES = ("replace", "rename", "write", "pwrite", "fsync", "symlink", "mkdir", "unlink", "ftruncate")
NOT_REACHED, CRASHED = 77, 9


class Fuse:
    """Counts what changes the disk or starts a program, and ends the process at the n-th, as SIGKILL would."""

    def __init__(self, at: int) -> None:
        self.left = at

    def guard(self, call):
        def guarded(*words, **options):
            if not str(words[0]).endswith("docker.new"):  # the fake engine is not the command's own
                self.left -= 1
                if self.left == 0:
                    if call is REAL["write"]:
                        call(words[0], words[1][: len(words[1]) // 2])  # the line is torn
                    os._exit(CRASHED)
            return call(*words, **options)

        return guarded

    def fit(self) -> None:
        for name in WRITES:
            setattr(os, name, self.guard(REAL[name]))
        run.run = self.guard(run.run)


REAL = {name: getattr(os, name) for name in WRITES}


def type_and_crash(root: str, line: str, at: int) -> bool:
    """Types a command that dies at its n-th write; False when it has fewer and came to its end."""
    child = os.fork()
    if not child:
        code = CRASHED
        try:
            Fuse(at).fit()
            cli.captured(root, line.split(), "tester")
            code = NOT_REACHED
        finally:
            os._exit(code)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (CRASHED, NOT_REACHED), f"{line}: write {at}: ended with {ended}"
    return ended == CRASHED
