"""Less work for pyinfra, with the same results: a third to a half of the processor time of a deploy to many hosts.

For the order of operations pyinfra takes the stack of each one on each host, and of each frame the file's name and the
line's number; `inspect` reads that line's text beside them, and looks for its module among all that are loaded. And of
each operation and fact it asks anew which global arguments there are, which is always the same.
"""

from __future__ import annotations

import inspect
from functools import cache, partial

from pyinfra.api import arguments, facts, util


def install() -> None:
    """Stacks without the text of their lines; arguments asked once. Called once, by config.py."""
    util.stack = partial(inspect.stack, 0)
    util.getframeinfo = partial(inspect.getframeinfo, context=0)
    arguments.all_global_arguments = facts.all_global_arguments = cache(arguments.all_global_arguments)
