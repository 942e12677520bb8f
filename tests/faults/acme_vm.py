"""An inventory of one host that is everything, with a small system, for certificates of an authority."""

from rehearsal.inventory import hosts as _hosts

staging = edge = app = ops = hello = _hosts("acme1")
