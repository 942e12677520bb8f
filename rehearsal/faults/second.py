"""A second gateway, that is away while a release comes or goes, and must be right before it serves again."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from .. import hosts as machines
from .. import one, plan, state
from ..errors import RehearsalError
from ..progress import Progress
from ..shell import Shell
from . import fault as f
from .fault import Fault
from .scene import HOSTS, SLOTS, SYSTEM, Scene
from .served import served

EDGE2 = next(host for host in plan.ON_DEMAND if host.name == "edge2")
INVENTORY = '''"""The rehearsal's hosts with a second gateway."""

from rehearsal.inventory import hosts as _hosts

edge = _hosts("edge1", "edge2")
app = _hosts("app1", "app2")
data = _hosts("data1")
ops = _hosts("ops1")
tasktracker = _hosts("edge1", "edge2", "app1", "app2", "data1")
hello = _hosts("edge1", "app1", "app2")
'''
QUIET = 90.0  # seconds until it must serve again


def sets_up(scene: Scene) -> None:
    """edge2 is a gateway of the system, and serves what is live."""
    one.add(_shell(), EDGE2)
    file = scene.folder / "inventory" / Path(scene.inventory).name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(INVENTORY)
    scene.inventory, scene.hosts = str(file), (*HOSTS, EDGE2.name)
    first = scene.start_deploy("", {}, "with-edge2")
    if first.wait():
        raise RehearsalError("edge2 could not be made a gateway", "\n".join(first.lines[-20:]))
    scene.ssh(EDGE2.name, "systemctl is-enabled changeover-gateway changeover-recover")


def goes(scene: Scene) -> None:
    """edge2 loses its power."""
    _engine("kill", "-s", "KILL")


def comes_back(scene: Scene) -> None:
    """edge2 boots. From its first answer on it must serve what is live, and nothing else."""
    live = scene.state()["release"]["live"]
    _engine("start")
    machines.wait_for_ssh(EDGE2.ssh_port, 60)
    gateway = {**state.read()["gateway"], "https_port": plan.EDGE2_HTTPS_PORT}
    context = ssl.create_default_context(cafile=gateway["ca"])
    end, right = time.monotonic() + QUIET, 0
    while time.monotonic() < end and right < 20:
        release = served(gateway, context)
        right += release == live
        if release and release != live:
            scene.notes.append(f"edge2 served {release} after it came back, and {live} is live")
            break
        time.sleep(0.2)
    else:
        if right < 20:
            link = scene.ssh(
                EDGE2.name, f"readlink {SLOTS}/live; docker ps -a --format '{{{{.Names}}}} {{{{.Status}}}}'"
            )
            scene.notes.append(f"edge2 did not serve within {QUIET:.0f} s: {link}")


def cleans(scene: Scene) -> None:
    """One gateway again, and no edge2."""
    one.remove(_shell(), EDGE2.name)
    scene.inventory, scene.hosts = "inventories/staging.py", HOSTS
    last = scene.start_deploy("", {}, "without-edge2")
    if last.wait():
        raise RehearsalError("the deploy without edge2 failed", "\n".join(last.lines[-20:]))
    scene.changeover(f"recover {SYSTEM}")


def _engine(*words: str) -> None:
    code, text = _shell().ask(["docker", *words, EDGE2.container], limit=60)
    if code:
        raise RehearsalError(f"docker {words[0]} {EDGE2.container}", text)


def _shell() -> Shell:
    return Shell(Progress())


FAULTS = [
    Fault(
        name="second-gateway-switch",
        does="a second gateway loses its power in the middle of the switch, and is back after the deploy",
        sets_up=sets_up,
        breaks=goes,
        at=f.SWITCH,
        after=1,
        mends=comes_back,
        cleans=cleans,
        says=("edge2",),
        away=("edge2",),
        settles=60,
    ),
    Fault(
        name="second-gateway-soak",
        does="a second gateway loses its power while the release is watched, and is back after the deploy",
        sets_up=sets_up,
        breaks=goes,
        at=f.SOAK,
        after=2,
        mends=comes_back,
        cleans=cleans,
        says=("edge2",),
        away=("edge2",),
        settles=60,
    ),
]
