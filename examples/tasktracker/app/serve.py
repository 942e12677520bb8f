"""The api's command: `python -m app.serve`. WEB_CONCURRENCY processes on port 8000."""

import os
import shutil
from pathlib import Path

import uvicorn


def main() -> None:
    """Serve until SIGTERM, then finish what is being answered, 30 s at most."""
    directory = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", "/tmp/metrics"))
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    uvicorn.run(
        "app.main:app", host=os.environ.get("HOST", "0.0.0.0"), port=int(os.environ.get("PORT", "8000")),
        workers=int(os.environ.get("WEB_CONCURRENCY", "2")), timeout_keep_alive=75, timeout_graceful_shutdown=30,
        timeout_worker_healthcheck=60, log_config=None, access_log=False,
    )


if __name__ == "__main__":
    main()
