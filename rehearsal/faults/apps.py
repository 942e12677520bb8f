"""Applications and their images: never ready, crashing after the switch, failing, not to be had."""

from __future__ import annotations

from typing import Any

from . import fault as f
from .fault import Fault
from .kept import idle_slot, on
from .scene import SYSTEM, Scene

SERVE = ["timeout", "-s", "KILL", "45", "python3", "-m", "app.serve"]
NEVER = {"http": "/api/health/detailed", "json": {"status": "never"}, "timeout": "3s"}

# A release whose mistake the team's own tests would find: what is to be seen is what happens when they do not.
UNTESTED: dict[str, Any] = {f"{SYSTEM}.services.api.test": None, f"{SYSTEM}.release.smoke": []}


def crash_on_app2(scene: Scene) -> None:
    """The live api on app2 is killed again and again: its container restarts each time."""
    name = f"{SYSTEM}-api-{scene.state()['slots']['api']['live']}-1"
    loop = f"kill -9 $(docker inspect -f '{{{{.State.Pid}}}}' {name}); sleep 0.4"
    scene.ssh("app2", f'systemd-run --quiet --collect --unit=fault-crash sh -c "while :; do {loop}; done"')


def without_image(scene: Scene) -> None:
    """The release's image is not on app2, and the registry does not answer."""
    slot = idle_slot(scene)
    names = " ".join(f"{SYSTEM}-{service}-{slot}-1" for service in ("api", "worker"))
    # By id and with force: it may have several names. Not what another container is made from.
    unused = (
        f"docker rm -f {names} 2>/dev/null; used=$(docker ps -aq | xargs docker inspect -f '{{{{.Image}}}}'); "
        "for image in $(docker images -q --no-trunc --filter 'reference=*/tasktracker/api' | sort -u); do "
        'case "$used" in *$image*) ;; *) docker rmi -f $image ;; esac; done'
    )
    scene.ssh("app2", unused)
    scene.ssh("ops1", "systemctl stop docker-registry")


FAULTS = [
    Fault(
        name="never-ready",
        does="the idle slot never gets ready",
        settings={f"{SYSTEM}.services.api.ready": NEVER},
        says=('must say 200 and {"status": "never"}', "is not ready after 3 s"),
    ),
    Fault(
        name="crash-loop",
        does="the release is ready, and crashes again and again from 45 s after its start",
        settings={f"{SYSTEM}.services.api.command": SERVE, f"{SYSTEM}.release.soak": "60s"},
        says=("probes failed (limit 0)", f"{SYSTEM} is back on"),
        cuts="both hosts' applications are down until the way back",
    ),
    Fault(
        name="crash-loop-one-host",
        does="the release crashes again and again on app2 only, while it is watched",
        breaks=crash_on_app2,
        at=f.SOAK,
        after=2,
        mends=on("app2", "systemctl stop fault-crash || true"),
        says=("app2",),
        cuts="requests that were on the application that crashed",
    ),
    Fault(
        name="broken-release",
        does="the release answers 500 to a third of its requests soon after the switch",
        release="1.2.0",
        settings={**UNTESTED, f"{SYSTEM}.services.api.env.BROKEN_AFTER": "1"},
        says=("probes failed (limit 0)", f"{SYSTEM} is back on", "its traffic is on the release before"),
        cuts="the release itself, until the way back",
    ),
    Fault(
        name="registry-down",
        does="the registry stops answering in mid-release; the images are on the hosts",
        breaks=on("ops1", "systemctl stop docker-registry"),
        at=f.STAGE,
        mends=on("ops1", "systemctl start docker-registry"),
        ends=f.ANY,
    ),
    Fault(
        name="image-missing",
        does="the release's image is missing on app2, and the registry does not answer",
        breaks=without_image,
        at=f.LAYER_1,
        mends=on("ops1", "systemctl start docker-registry"),
        says=("app2", "worker-", "connection refused"),
    ),
]
