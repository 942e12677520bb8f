"""Parts of docs/every_key.py that exclude each other: weighted steps, and a system that goes host by host."""

from __future__ import annotations

from typing import Any

STEPS: list[Any] = [
    {"name": "our own", "who": {"percent": 0, "teams": ["internal"], "users": ["dana"]}, "hold": "1h"},
    5,
    {"who": {"percent": 25}, "hold": "10m", "on_fail": "previous"},
    50,
    100,
]
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
