"""Faults, really done to the rehearsal's hosts: one registry for `python -m rehearsal fault` and for tests/faults."""
