"""Hosts that are folders: each root has its own settings, state, gateway and containers (world.py, fakes.py)."""
