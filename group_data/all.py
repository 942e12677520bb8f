"""What every host shares. `overrides` in an environment's file (staging.py, prod.py) change single values."""

from operations.ssh import nodelay as _nodelay

# Halves every run: without it each SSH command waits for Nagle and a delayed ACK.
ssh_paramiko_connect_kwargs = {"transport_factory": _nodelay}

fleet = dict(
    registry="registry.example.com",
    mirror="docker.io",
    docker_source="docker",
    # firewall={"open": [{"port": 9100, "sources": ["10.0.0.9"]}]},  # what other tools reach: docs/security.md
)
