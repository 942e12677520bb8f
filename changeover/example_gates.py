"""Gates of docs/every_key.py: one of each source."""

from __future__ import annotations

from typing import Any

GATES: list[dict[str, Any]] = [
    {
        "name": "api_p95",
        "source": {"probe": "p95", "path": "/api/health", "method": "GET", "timeout": "3s"},
        "op": "<",
        "value": 200,
        "baseline": {"slot": "old", "ratio": 2.0},
        "every": "5s",
        "window": "30s",
        "min_samples": 20,
        "fail_limit": 2,
        "error_limit": 4,
        "nodata_limit": 2,
        "inconclusive_limit": 2,
        "consecutive": True,
    },
    {
        "name": "status",
        "source": {"http": "/api/ready", "service": "api", "take": "$.database", "equals": "ok"},
        "op": "==",
        "value": 1,
    },
    {
        "name": "memory",
        "source": {"cmd": ["cat", "/sys/fs/cgroup/memory.current"], "service": "api"},
        "value": 500000000,
        "baseline": {"ratio": 1.5},
    },
    {"name": "queue", "source": {"sql": "select count(*) from orders where state = 'waiting'"}, "value": 1000},
    {"name": "errors", "source": {"promql": "sum(rate(errors_total{slot='$slot'}[1m]))"}, "value": 0.1},
]
