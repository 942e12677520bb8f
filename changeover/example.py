"""docs/every_key.py: an example that holds every key of the settings, its comments the model's own words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from changeover import settings
from changeover.example_gates import GATES
from changeover.example_release import RELEASE, WIKI

WIDTH = 110
INTRO = '''"""Every key of group_data once, with what it is for: an example to take from.

Made by `python -m changeover example`; a test checks that it is current, complete and without a fault. In your
repository `fleet` is in group_data/all.py, and each system is a file and a group of its own name. Leave out what is as
you want it anyway: docs/settings.md has the defaults.
"""
'''
FLEET: dict[str, Any] = {
    "environment": "staging",
    "registry": "registry.example.com",
    "mirror": "docker.io",
    "docker_source": "docker",
    "daemon": {"registry-mirrors": ["https://mirror.example.com"]},
    "deploy_user": "deploy",
    "deploy_keys": ["ssh-ed25519 AAAA... dana@laptop"],
    "secrets_file": "secrets/{environment}.env",
    "secrets_identity": "secrets/identity.txt",
    "secrets_command": ["pass", "show", "{system}/{environment}/{name}"],
    "secrets_timeout": "20s",
    "memory_overcommit": 1.5,
    "firewall": {
        "manage": True,
        "ssh_from": ["203.0.113.0/24"],
        "open": [{"port": 9100, "protocol": "tcp", "on": "data", "sources": ["10.0.0.9"]}],
        "containers": ["docker0", "br-*"],
    },
    "sshd": {"manage": True, "settings": {"X11Forwarding": "no"}},
    "confirm_within": "90s",
    "updates": {"automatic": True, "keep": ["linux-image"]},
    "swap": {"size": "2G", "swappiness": 10},
    "sysctl": {"vm.overcommit_memory": "1"},
    "journal": "1G",
    "memory_reserve": "512M",
    "gateway": {
        "on": "edge",
        "image": "{mirror}/library/nginx:1.26",
        "http_port": 80,
        "https_port": 443,
        "acme": {
            "email": "ops@example.com",
            "directory": "https://acme.internal.example.com/acme/directory",
            "ca": "secrets/ca.crt",
        },
        "keepalive": "75s",
        "upstream_keepalive": "30s",
        "reach": "203.0.113.10:443",
        "cpus": 0.5,
        "memory": "256M",
        "cpus_reserve": 0.1,
        "memory_reserve": "64M",
        "run_dir": "/srv/gateway",
    },
}
SHOP: dict[str, Any] = {
    "initial_release": "1.0.0",
    "image": "{registry}/{system}/{service}:{release}",
    "domain": "shop.example.com",
    "tls": {"certificate": "secrets/shop.crt", "key": "secrets/shop.key", "ca": "secrets/ca.crt"},
    "run_dir": "/srv/shop",
    "services": {
        "db": {
            "kind": "postgres",
            "layer": 1,
            "on": "data",
            "image": "{mirror}/library/postgres:17",
            "major": 17,
            "port": 5432,
            "publish": 5432,
            "dev_ports": {15432: 5432},
            "database": "shop",
            "owner": "shop",
            "owner_secret": "SHOP_DB_PASSWORD",
            "superuser_secret": "POSTGRES_PASSWORD",
            "extensions": ["pg_trgm"],
            "settings": {"max_connections": "200"},
            "health": {"cmd": ["pg_isready", "-h", "127.0.0.1"], "interval": "10s"},
            "command": None,
            "env": {"TZ": "UTC"},
            "secrets": [],
            "secret_env": [],
            "uid": 999,
            "read_only": True,
            "tmpfs": ["/tmp"],
            "capabilities": [],
            "pids": 512,
            "stop_grace": "60s",
            "start_timeout": "120s",
            "cpus": 2.0,
            "memory": "2G",
            "cpus_reserve": 0.5,
            "memory_reserve": "512M",
        },
        "queue": {
            "kind": "nats",
            "layer": 1,
            "on": "data",
            "image": "{mirror}/library/nats:2.10",
            "port": 4222,
            "publish": 4222,
            "monitoring": 8222,
            "dev_ports": {8222: 8222},
            "health": {"http": "/healthz", "port": 8222},
            "command": ["-js", "-sd", "/data", "-m", "8222"],
            "env": {"TZ": "UTC"},
            "secrets": [],
            "secret_env": [],
            "uid": None,
            "read_only": True,
            "tmpfs": ["/tmp"],
            "capabilities": [],
            "pids": 512,
            "stop_grace": "30s",
            "start_timeout": "60s",
            "cpus": 0.5,
            "memory": "512M",
            "cpus_reserve": 0.1,
            "memory_reserve": "64M",
        },
        "api": {
            "kind": "app",
            "layer": 2,
            "on": "app",
            "port": 8000,
            "slots": {"blue": 18000, "green": 18001},
            "routes": {
                "/api": {"timeout": "45s", "max_body": "20M", "upload": "30s"},
                "/ws": {"websocket": True, "timeout": "24h"},
            },
            "dev_ports": {19000: 9000},
            "health": {
                "http": "/api/health",
                "port": 8000,
                "interval": "5s",
                "timeout": "3s",
                "retries": 3,
                "start_period": "15s",
            },
            "ready": {"http": "/api/ready", "json": {"database": "ok"}, "timeout": "60s"},
            "test": {
                "run": ["pytest", "tests/api", "-q"],
                "folder": "../shop",
                "env": {"PYTHONDONTWRITEBYTECODE": "1"},
                "secrets": ["ADMIN_TOKEN"],
                "timeout": "5m",
            },
            "command": ["serve", "--port", "8000"],
            "env": {"QUEUE_URL": "nats://{address.queue}"},
            "secret_env": ["SENTRY_DSN"],
            "secrets": {"DATABASE_URL": "postgresql://{login.db}:{secret.SHOP_DB_PASSWORD}@{address.db}/shop"},
            "uid": 10001,
            "read_only": True,
            "tmpfs": ["/tmp"],
            "capabilities": ["NET_BIND_SERVICE"],
            "pids": 512,
            "drain": "30s",
            "keepalive": "75s",
            "stop_grace": "35s",
            "start_timeout": "120s",
            "cpus": 1.0,
            "memory": "1G",
            "cpus_reserve": 0.25,
            "memory_reserve": "256M",
        },
        "clock": {"layer": 2, "on": "app", "singleton": True, "health": {"cmd": ["test", "-e", "/tmp/alive"]}},
        "site": {
            "layer": 3,
            "on": "edge",
            "image": "{registry}/shop/site:1.4",
            "port": 3000,
            "publish": 18010,
            "routes": {"/site": {"strip": True, "assets": "assets/"}},
        },
    },
    "release": RELEASE,
    "gates": GATES,
    "prometheus": "http://10.0.0.9:9090",
    "migrations": {"engine": "alembic", "service": "api", "database": "db", "timeout": "10m"},
    "checklist": [
        {"name": "went live on staging", "source": "S1", "when": "before", "check": "rehearsed"},
        {"name": "off-peak", "environment": "production", "within": ["mon-thu 06:00-09:00"], "zone": "Europe/Berlin"},
        {"name": "stakeholders know", "environment": "production", "ask": "Who was told, and how?"},
        {
            "name": "no known vulnerability",
            "program": {
                "run": ["pip-audit", "-r", "requirements.txt"],
                "folder": ".",
                "env": {"PIP_INDEX_URL": "https://pypi.internal.example.com/simple"},
                "secrets": ["PIP_TOKEN"],
                "timeout": "2m",
            },
        },
    ],
}


SYSTEMS = (("fleet", settings.Fleet, FLEET), ("shop", settings.System, SHOP), ("wiki", settings.System, WIKI))


def page() -> str:
    """The whole file. Each key's comment stands where it is first."""
    said: set[tuple[str, str]] = set()
    parts = [INTRO]
    for name, model, values in SYSTEMS:
        parts.append(f"{name} = {_text(model, values, said, 0)}\n")
    return "\n".join(parts)


def _text(annotation: Any, value: Any, said: set[tuple[str, str]], depth: int) -> str:
    """A value as Python, at a depth of indentation: models as dict(...), with their keys' comments."""
    model, pad = model_of(annotation, value), "    " * (depth + 1)
    end = "    " * depth
    if isinstance(value, dict) and model:
        return "\n".join(["dict(", *_keys(model, value, said, depth + 1), f"{end})"])
    if isinstance(value, dict) and model_in(annotation):
        lines = [f"{pad}{_literal(key)}: {_text(annotation, one, said, depth + 1)}," for key, one in value.items()]
        return "\n".join(["{", *lines, f"{end}}}"])
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(["[", *(f"{pad}{_text(annotation, one, said, depth + 1)}," for one in value), f"{end}]"])
    return _literal(value)


def _literal(value: Any) -> str:
    """A plain value as Python, in double quotes."""
    text = repr(value)
    return text if '"' in text else text.replace("'", '"')


def _keys(model: type[BaseModel], values: dict[str, Any], said: set[tuple[str, str]], depth: int) -> Iterator[str]:
    pad = "    " * depth
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in values:
            continue
        comment = (key, field.description or "")
        if comment not in said:
            said.add(comment)
            yield from (f"{pad}# {line}" for line in textwrap.wrap(comment[1], WIDTH - len(pad)))
        yield f"{pad}{key}={_text(field.annotation, values[key], said, depth)},"


def models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation allows, whatever is around them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_of(part)


def model_in(annotation: Any) -> bool:
    """Whether there is a model in an annotation."""
    return next(models_of(annotation), None) is not None


def model_of(annotation: Any, value: Any) -> type[BaseModel] | None:
    """The model that a dict is written for; None where it is only a dict of such."""
    if not isinstance(value, dict):
        return None
    for model in models_of(annotation):
        kind = model.model_fields.get("kind")
        keys = {field.alias or name for name, field in model.model_fields.items()}
        if value and set(value) <= keys and (not kind or value.get("kind", "app") in get_args(kind.annotation)):
            return model
    return None
