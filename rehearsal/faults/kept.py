"""What hosts keep: journal and state damaged, keys gone, disks full, a configuration that nginx refuses."""

from __future__ import annotations

from collections.abc import Callable

from . import fault as f
from .fault import Fault
from .scene import COORDINATOR, KEPT, SYSTEM, Scene

Act = Callable[[Scene], None]
JOURNAL, STATE = f"{KEPT}/journal.jsonl", f"{KEPT}/state.json"
KEYS = "/var/lib/changeover/peer/.ssh/authorized_keys"
CONF = "/srv/gateway/conf"


def on(host: str, command: str) -> Act:
    """A command on a host, as root."""

    def act(scene: Scene) -> None:
        scene.ssh(host, command)

    return act


def recovered(scene: Scene) -> None:
    """What the message says is next."""
    scene.changeover(f"recover {SYSTEM}")


def copied(scene: Scene) -> None:
    """What the message says is next: another host's copy of the state, then recover."""
    text = scene.ssh("app1", f"cat {STATE}")
    scene.ssh(COORDINATOR, f"cat > {STATE} <<'END'\n{text}\nEND\n")
    recovered(scene)


def full(host: str, path: str) -> Act:
    """A folder's filesystem is full. A small one, with the folder's content, is laid over it and filled to the brim."""
    small = "/run/full"
    command = (
        f"mkdir -p {small} && mount -t tmpfs -o size=4m,mode=755 full {small} && cp -a {path}/. {small}/ && "
        f"mount --bind {small} {path} && (dd if=/dev/zero of={path}/filler bs=4k 2>/dev/null || true) && "
        f"! sh -c 'echo more than nothing > {path}/probe' 2>/dev/null"
    )
    return on(host, command)


def room(host: str, path: str) -> Act:
    """The way back from full: what was written meanwhile is kept."""
    command = (
        f"mountpoint -q {path} || exit 0; rm -f {path}/filler {path}/probe; mkdir -p /run/below && "
        f"mount --bind / /run/below && rm -rf /run/below{path}/* && cp -a {path}/. /run/below{path}/ && "
        f"umount /run/below && umount {path} && umount /run/full"
    )
    return on(host, command)


def idle_slot(scene: Scene) -> str:
    """The slot that the release takes."""
    return "green" if scene.state()["slots"]["api"]["live"] == "blue" else "blue"


FAULTS = [
    Fault(
        name="journal-torn",
        does="the coordinator's journal loses the end of its last line in mid-release, as a crash would leave it",
        breaks=on(COORDINATOR, f"truncate -s -40 {JOURNAL}"),
        at=f.LAYER_2,
        ends=f.NEW,
    ),
    Fault(
        name="journal-damaged",
        does="a line in the middle of the coordinator's journal is damaged in mid-release",
        breaks=on(COORDINATOR, f"sed -i '1s/./#/' {JOURNAL}"),
        at=f.LAYER_2,
        mends=recovered,
        says=("is damaged, and there are sound lines behind it", f"changeover recover {SYSTEM}"),
        everyday=True,
    ),
    Fault(
        name="journal-damaged-soak",
        does="a line in the middle of the coordinator's journal is damaged while the release is watched",
        breaks=on(COORDINATOR, f"sed -i '1s/./#/' {JOURNAL}"),
        at=f.SOAK,
        after=3,
        says=("is damaged, and there are sound lines behind it", f"{SYSTEM} is back on"),
    ),
    Fault(
        name="journal-empty",
        does="the coordinator's journal is empty (0 bytes) in mid-release",
        breaks=on(COORDINATOR, f": > {JOURNAL}"),
        at=f.LAYER_2,
        ends=f.NEW,
    ),
    Fault(
        name="journal-binary",
        does="the coordinator's journal is 4 KiB of noise in mid-release",
        breaks=on(COORDINATOR, f"head -c 4096 /dev/urandom > {JOURNAL}"),
        at=f.LAYER_2,
        ends=f.NEW,
    ),
    Fault(
        name="journal-lost-in-soak",
        does="the coordinator's journal is emptied while the release is watched",
        breaks=on(COORDINATOR, f": > {JOURNAL}"),
        at=f.SOAK,
        after=3,
        ends=f.NEW,
    ),
    Fault(
        name="state-damaged",
        does="the coordinator's state.json is damaged in mid-release",
        breaks=on(COORDINATOR, f"head -c 100 {STATE} > {STATE}.cut; cat {STATE}.cut > {STATE}; rm {STATE}.cut"),
        at=f.LAYER_2,
        mends=copied,
        says=("state.json is damaged", "from another host"),
        unreadable=True,
    ),
    Fault(
        name="state-lost",
        does="the coordinator's state.json is gone in mid-release",
        breaks=on(COORDINATOR, f"rm {STATE}"),
        at=f.LAYER_2,
        mends=copied,
        says=("state.json on edge1 is gone", "from another host"),
        unreadable=True,
    ),
    Fault(
        name="state-damaged-on-a-peer",
        does="app2's copy of state.json is damaged in mid-release",
        breaks=on("app2", f"echo '{{' > {STATE}"),
        at=f.LAYER_2,
        ends=f.NEW,
    ),
    Fault(
        name="peer-key-removed",
        does="the coordinator's key is taken out of app2's authorized_keys in mid-release",
        breaks=on("app2", f": > {KEYS}"),
        at=f.LAYER_2,
        says=("app2", "cannot be reached from edge1", "Permission denied"),
        everyday=True,
    ),
    Fault(
        name="own-key-removed",
        does="the coordinator's own key for its peers is gone in mid-release",
        breaks=on(COORDINATOR, "rm /etc/changeover/peer_key"),
        at=f.LAYER_2,
        says=("cannot be reached from edge1",),
    ),
    Fault(
        name="disk-full-app",
        does="the filesystem with app2's compose file is full in mid-release",
        breaks=full("app2", f"/srv/{SYSTEM}"),
        at=f.STAGE,
        settings={f"{SYSTEM}.services.worker.env.NEW": "1"},  # else nothing would have to be written there
        mends=room("app2", f"/srv/{SYSTEM}"),
        says=("app2", "No space left on device"),
        everyday=True,
    ),
    Fault(
        name="disk-full-app-state",
        does="the filesystem with app2's state is full in mid-release",
        breaks=full("app2", KEPT),
        at=f.LAYER_2,
        mends=room("app2", KEPT),
        says=("app2", "No space left on device"),
        away=("app2",),
    ),
    Fault(
        name="disk-full-coordinator",
        does="the filesystem with the coordinator's state and journal is full in mid-release",
        breaks=full(COORDINATOR, KEPT),
        at=f.LAYER_2,
        mends=room(COORDINATOR, KEPT),
        says=("No space left on device",),
    ),
    Fault(
        name="disk-full-coordinator-soak",
        does="the filesystem with the coordinator's state and journal fills while the release is watched",
        breaks=full(COORDINATOR, KEPT),
        at=f.SOAK,
        after=2,
        mends=room(COORDINATOR, KEPT),
        says=("No space left on device",),
        settles=60,
    ),
    Fault(
        name="nginx-refuses",
        does="a file that nginx refuses lies in the gateway's configuration, and one of ours is gone",
        breaks=on(COORDINATOR, f"echo 'nonsense here;' > {CONF}/servers/zzz.conf; rm {CONF}/proxy_headers.conf"),
        at=f.STAGE,
        mends=on(COORDINATOR, f"rm -f {CONF}/servers/zzz.conf"),
        says=('unknown directive "nonsense"', "nothing was changed"),
    ),
]
