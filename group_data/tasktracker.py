"""TaskTracker, the sample system: layers, ports, limits and health checks as in its operations guide (S1)."""

_app_env = {
    "NATS_URL": "nats://{address.nats}",
    "LOG_LEVEL": "INFO",
}
_app_secrets = {
    "DATABASE_URL": "postgresql+asyncpg://{login.postgres}:{secret.TASKTRACKER_DB_PASSWORD}@{address.postgres}/tasktracker",
    "ADMIN_TOKEN": "{secret.ADMIN_TOKEN}",
}
# Worker and scheduler touch a file while NATS answers them: alive and connected, without a second Python each time.
_app_alive = {"cmd": ["sh", "-c", "find /tmp/alive -newermt '-20 seconds' 2>/dev/null | grep -q ."],
              "interval": "30s", "timeout": "10s", "retries": 3, "start_period": "40s"}
_app_image = "{registry}/tasktracker/api:{release}"

# The application's own, by the name that it gives itself (app/db.py): a dump, or a person's psql, is no release.
_slowest_query = (
    "select coalesce(max(extract(epoch from clock_timestamp() - query_start)), 0) * 1000 from pg_stat_activity"
    " where state = 'active' and application_name like 'tasktracker-%'"
)

# Of the container itself, by cgroup v2 or, on older hosts, v1.
_memory = "cat /sys/fs/cgroup/memory.current 2>/dev/null || cat /sys/fs/cgroup/memory/memory.usage_in_bytes"

tasktracker = dict(
    initial_release="1.0.0",
    image="{registry}/tasktracker/{service}:{release}",
    domain="tasks.example.com",
    services=dict(
        postgres=dict(
            kind="postgres", layer=1, on="data", image="{mirror}/pgvector/pgvector:pg17", major=17, publish=5555,
            database="tasktracker", owner="tasktracker", owner_secret="TASKTRACKER_DB_PASSWORD", extensions=["vector"],
            # While two slots run, both hold their pools: 2 slots x 2 hosts x 4 processes x 15, and the workers'.
            settings={"max_connections": "300"},
            cpus=2.0, memory="2G", cpus_reserve=0.5, memory_reserve="512M",
        ),
        nats=dict(
            kind="nats", layer=1, on="data", image="{mirror}/library/nats:2.10", publish=4222, dev_ports={8222: 8222},
            cpus=0.5, memory="512M", cpus_reserve=0.1, memory_reserve="64M",
        ),
        api=dict(
            layer=2, on="app", port=8000, slots=dict(blue=18000, green=18001), uid=10001,
            keepalive="75s",  # app/serve.py: timeout_keep_alive; uvicorn's own would be 5 s
            routes={"/api": {}, "/ws": {"websocket": True, "timeout": "24h"}},
            ready={"http": "/api/health/detailed", "json": {"status": "ok"}},
            health={"http": "/api/health", "interval": "5s", "timeout": "3s", "retries": 3, "start_period": "15s"},
            # Before the switch the worker is still the old release's, and every host's slot is tested at the same time.
            test={"run": ["pytest", "tests/api", "-q", "-p", "no:cacheprovider", "-m", "not worker and not alone"],
                  "folder": "examples/tasktracker", "env": {"PYTHONDONTWRITEBYTECODE": "1"},
                  "secrets": ["ADMIN_TOKEN"], "timeout": "2m"},
            env={**_app_env, "WEB_CONCURRENCY": "4"}, secrets=_app_secrets, tmpfs=["/tmp"],
            stop_grace="35s",
            cpus=1.0, memory="1G", cpus_reserve=0.25, memory_reserve="256M",
        ),
        worker=dict(
            layer=2, on="app", image=_app_image, uid=10001, env=_app_env, secrets=_app_secrets, tmpfs=["/tmp"],
            # One process: with two, one that is stuck would hide behind the other's heartbeat.
            command=["taskiq", "worker", "app.tasks:broker", "--workers", "1", "--max-async-tasks", "10",
                     "--wait-tasks-timeout", "25", "--no-configure-logging"],
            stop_grace="35s",
            health=_app_alive,
            cpus=2.0, memory="2G", cpus_reserve=0.5, memory_reserve="512M",
        ),
        scheduler=dict(
            layer=2, on="app", image=_app_image, uid=10001, env=_app_env, secrets=_app_secrets, tmpfs=["/tmp"],
            command=["taskiq", "scheduler", "app.tasks:scheduler", "--no-configure-logging"],
            singleton=True, health=_app_alive,
            cpus=0.5, memory="512M", cpus_reserve=0.1, memory_reserve="64M",
        ),
        dashboard=dict(
            layer=3, on="edge", port=3000, slots=dict(blue=18010, green=18011),
            routes={"/dashboard": {"strip": True, "assets": "assets/"}},
            health={"http": "/", "interval": "5s", "timeout": "3s", "retries": 3, "start_period": "20s"},
            tmpfs=["/tmp"],
            cpus=0.5, memory="512M", cpus_reserve=0.1, memory_reserve="128M",
        ),
    ),
    release=dict(
        soak="30s",
        websocket="/ws?topics=knowledge",
        tag_name="v{release}",
        probe=[
            {"path": "/api/health"},
            {"path": "/api/v1/topics?limit=5"},
            {"path": "/api/v1/topics", "method": "POST", "expect": 201,
             "json": {"external_id": "probe-{id}", "name": "a probe of the deploy"}},
            {"path": "/dashboard/"},
        ],
        smoke=[
            {"name": "an authenticated call", "path": "/api/v1/admin/feature-flags", "text": '"flags"',
             "headers": {"Authorization": "Bearer {secret.ADMIN_TOKEN}"}},
            {"name": "a write, and its event", "method": "POST", "path": "/api/v1/topics", "expect": 201,
             "json": {"external_id": "{id}", "name": "a smoke test"}, "answer": {"external_id": "{id}"},
             "event": {"path": "/ws?topics=knowledge",
                       "json": {"event": "topic_created", "data": {"external_id": "{id}"}}}},
            {"name": "an export", "path": "/api/v1/export", "text": "{id}", "timeout": "20s"},
        ],
    ),
    # S0's criteria of a release, and of its table of performance targets what is seen from outside. Its other rows
    # (proposal creation, similarity check, extraction run) are the application's own figures: with a Prometheus.
    gates=[
        {"name": "no_5xx", "source": {"probe": "5xx"}, "op": "==", "value": 0,
         "window": "5s", "min_samples": 10, "inconclusive_limit": 2},
        # On a machine that is slow itself both slots are: then what counts is the old one at the same moment. One that
        # is too busy to be asked says nothing of the release.
        {"name": "p95", "source": {"probe": "p95"}, "value": 200, "baseline": {"ratio": 2.0},
         "error_limit": 1000, "nodata_limit": 1000, "inconclusive_limit": 1000},
        {"name": "healthy", "op": "==", "value": 1, "every": "10s",
         "source": {"http": "/api/health/detailed", "service": "api", "take": "$.status", "equals": "ok",
                    "timeout": "8s"}},
        {"name": "api_memory", "value": 512 * 1024**2, "baseline": {"ratio": 1.5}, "every": "10s",
         "source": {"cmd": ["sh", "-c", _memory], "service": "api", "timeout": "8s"}},
        {"name": "slowest_query_ms", "value": 500, "every": "10s", "source": {"sql": _slowest_query, "timeout": "8s"}},
    ],
    migrations=dict(engine="alembic", service="api", database="postgres"),
)
