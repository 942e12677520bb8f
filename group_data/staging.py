"""What differs in staging: the rehearsal's registry, names and certificates."""

_registry = "ops1.staging.test:5000"
_tls = {"certificate": ".rehearsal/tls/server.crt", "key": ".rehearsal/tls/server.key", "ca": ".rehearsal/ca.crt"}

overrides = {
    "fleet.environment": "staging",
    "fleet.registry": _registry,
    "fleet.mirror": _registry,
    "fleet.docker_source": "debian",
    # The rehearsal's registry is no service of these settings.
    "fleet.firewall.open": [{"port": 5000, "on": "ops"}],
    # Throwaway hosts are measured: nothing may run there when its time comes. tests/rehearsal turns it on.
    "fleet.updates.automatic": False,
    "fleet.gateway.reach": "127.0.0.1:8443",
    "fleet.memory_overcommit": 4.0,  # the rehearsal's hosts are all one machine
    "fleet.secrets_file": ".rehearsal/secrets.env",
    "fleet.daemon": {
        "insecure-registries": [_registry],
        # A rehearsal host is a container itself: its own pools must not meet the outer ones.
        "bip": "10.200.0.1/24",
        "default-address-pools": [{"base": "10.201.0.0/16", "size": 24}],
    },
    "tasktracker.domain": "tasks.staging.test",
    "tasktracker.tls": _tls,
    "hello.domain": "hello.staging.test",
    "hello.tls": _tls,
}
