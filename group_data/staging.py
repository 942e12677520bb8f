"""What differs in staging: the rehearsal's registry, names and certificates."""

_registry = "ops1.staging.test:5000"

overrides = {
    "fleet.environment": "staging",
    "fleet.registry": _registry,
    "fleet.mirror": _registry,
    "fleet.docker_source": "debian",
    "fleet.secrets_file": ".rehearsal/secrets.env",
    "fleet.daemon": {
        "insecure-registries": [_registry],
        # A rehearsal host is a container itself: its own pools must not meet the outer ones.
        "bip": "10.200.0.1/24",
        "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}],
    },
    "tasktracker.domain": "tasks.staging.test",
    "tasktracker.tls": {"certificate": ".rehearsal/tls/server.crt", "key": ".rehearsal/tls/server.key"},
    "hello.domain": "hello.staging.test",
    "hello.tls": {"certificate": ".rehearsal/tls/server.crt", "key": ".rehearsal/tls/server.key"},
}
