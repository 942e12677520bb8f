"""An inventory of one host of Debian 12 that is everything."""

from rehearsal.inventory import hosts as _hosts

staging = edge = app = data = ops = tasktracker = hello = _hosts("old1")
