"""Parts of docs/every_key.py: how a release goes live, by weighted steps; and a system that goes host by host."""

from __future__ import annotations

from typing import Any

STEPS: list[Any] = [
    {"name": "our own", "who": {"percent": 0, "teams": ["internal"], "users": ["dana"]}, "hold": "1h"},
    5,
    {"who": {"percent": 25}, "hold": "10m", "gates": ["api_p95"], "on_fail": "previous"},
    50,
    100,
]
RELEASE: dict[str, Any] = {
    "strategy": "blue_green",
    "lease": "90s",
    "soak": "5m",
    "steps": STEPS,
    "early_secret": "EARLY_SECRET",
    "keep_warm": "30m",
    "keep": 5,
    "tag": "production",
    "tag_name": "{system}-v{release}",
    "max_failed": 0,
    "probe": [
        {"path": "/api/health", "expect": 200},
        {"path": "/api/orders", "method": "POST", "json": {"number": "probe-{id}"}, "expect": 201},
    ],
    "websocket": "/ws",
    "smoke": [
        {
            "name": "a write, and its event",
            "method": "POST",
            "path": "/api/orders",
            "headers": {"Authorization": "Bearer {secret.ADMIN_TOKEN}"},
            "json": {"number": "{id}"},
            "expect": 201,
            "answer": {"number": "{id}"},
            "text": "{id}",
            "timeout": "10s",
            "event": {"path": "/ws", "json": {"number": "{id}"}, "within": "5s"},
        }
    ],
    "commands": [
        {
            "name": "static files",
            "when": "before",
            "run": ["aws", "s3", "sync", "build/static", "s3://shop/static"],
            "folder": ".",
            "env": {"AWS_REGION": "eu-central-1"},
            "secrets": ["AWS_SECRET_ACCESS_KEY"],
            "timeout": "5m",
        }
    ],
}
WIKI: dict[str, Any] = {
    "initial_release": "2.0",
    "domain": "wiki.example.com",
    "services": {
        "pages": {
            "layer": 2,
            "on": "app",
            "port": 80,
            "slots": {"blue": 18100, "green": 18101},
            "routes": {"/": {}},
            "health": {"http": "/"},
        }
    },
    "release": {"strategy": "rolling", "pause": "30s"},
}
