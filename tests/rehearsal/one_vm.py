"""An inventory of one bare host that is everything: gateway, applications, database."""

from rehearsal.inventory import hosts as _hosts

staging = edge = app = data = ops = tasktracker = hello = _hosts("bare1")
