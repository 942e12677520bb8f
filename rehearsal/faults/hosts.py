"""Hosts: the power goes in mid-switch, the network is cut, the gateway dies, the clock is wrong."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from .. import state
from . import fault as f
from .fault import Fault
from .scene import SYSTEM, Scene

Act = Callable[[Scene], None]
CUT = "iptables -t raw -I PREROUTING -i eth0 -j DROP; iptables -t raw -I OUTPUT -o eth0 -j DROP"
AHEAD = r"""
# a rehearsal's fault: this host's clock is an hour ahead
import time as _time
_now, _gmtime, _strftime = _time.time, _time.gmtime, _time.strftime
_time.time = lambda: _now() + 3600
_time.gmtime = lambda seconds=None: _gmtime(_time.time() if seconds is None else seconds)
_time.strftime = lambda form, when=None: _strftime(form, _time.gmtime() if when is None else when)
"""
CLOCK = "/etc/python3.13/sitecustomize.py"  # read by every Python of the host, so by the host command too


def kill_gateway(scene: Scene) -> None:
    """SIGKILL to nginx's master: its container ends, and comes back by its restart policy."""
    scene.ssh("edge1", "kill -9 $(docker inspect -f '{{.State.Pid}}' gateway-nginx-1)")


def power_cut(host: str) -> Act:
    """Everything on a host is gone at once, without a word; then it boots."""

    def breaks(scene: Scene) -> None:
        name = state.read()["hosts"][host]["container"]
        subprocess.run(["docker", "restart", "-t", "0", name], check=True, capture_output=True, timeout=60)

    return breaks


def up_again(host: str) -> Act:
    """Waits until a host that booted answers."""

    def mends(scene: Scene) -> None:
        end = time.monotonic() + 90
        while scene.ssh(host, "systemctl is-system-running --wait", check=False) != "running":
            if time.monotonic() > end:
                break  # the frame's own look says what is missing
            time.sleep(1)

    return mends


def cut_off(host: str) -> Act:
    """Packets to and from a host are dropped, without a word to anybody; inside it all goes on."""

    def breaks(scene: Scene) -> None:
        scene.inside(host, CUT)

    return breaks


def joined(host: str) -> Act:
    """The way back from cut_off."""

    def mends(scene: Scene) -> None:
        scene.inside(host, "iptables -t raw -F")

    return mends


def ahead(host: str) -> Act:
    """The clock that a host's programs are told is an hour ahead. The hosts are containers: the kernel's is shared."""

    def breaks(scene: Scene) -> None:
        scene.ssh(host, f"cp {CLOCK} {CLOCK}.before; cat >> {CLOCK} <<'END'{AHEAD}END\n")
        year = scene.ssh(host, "python3 -c 'import time; print(int(time.time()))'; date +%s").split()
        assert int(year[0]) - int(year[1]) >= 3599, "the clock of this host could not be moved"

    return breaks


def right(host: str) -> Act:
    """The way back from ahead."""

    def mends(scene: Scene) -> None:
        scene.ssh(host, f"[ ! -e {CLOCK}.before ] || mv {CLOCK}.before {CLOCK}")

    return mends


ON_IT = "requests that were on that host at that moment"
FAULTS = [
    Fault(
        name="gateway-killed",
        does="the gateway's nginx is killed (SIGKILL) while the release is watched",
        breaks=kill_gateway,
        at=f.SOAK,
        after=3,
        says=("probes failed (limit 0)", f"{SYSTEM} is back on"),
        cuts="the gateway itself",
    ),
    Fault(
        name="gateway-killed-switch",
        does="the gateway's nginx is killed (SIGKILL) in the middle of the switch",
        breaks=kill_gateway,
        at=f.SWITCH,
        after=4,
        ends=f.ANY,
        cuts="the gateway itself",
    ),
    Fault(
        name="app-cut-off",
        does="app2 is cut off from the network (its packets are dropped) before the switch",
        breaks=cut_off("app2"),
        at=f.LAYER_3,
        mends=joined("app2"),
        says=("app2",),
        cuts=ON_IT,
        away=("app2",),
    ),
    Fault(
        name="app-cut-off-switch",
        does="app2 is cut off from the network in the middle of the switch",
        breaks=cut_off("app2"),
        at=f.SWITCH,
        after=3,
        mends=joined("app2"),
        says=("app2",),
        cuts=ON_IT,
        away=("app2",),
        settles=60,
    ),
    Fault(
        name="app-cut-off-soak",
        does="app2 is cut off from the network while the release is watched",
        breaks=cut_off("app2"),
        at=f.SOAK,
        after=2,
        mends=joined("app2"),
        says=("app2",),
        cuts=ON_IT,
        away=("app2",),
        everyday=True,
    ),
    Fault(
        name="app-power-cut",
        does="app2 loses its power in the middle of the switch, and boots",
        breaks=power_cut("app2"),
        at=f.SWITCH,
        after=4,
        mends=up_again("app2"),
        says=("app2",),
        cuts=ON_IT,
        settles=90,
    ),
    Fault(
        name="gateway-power-cut",
        does="edge1, gateway and coordinator, loses its power in the middle of the switch, and boots",
        breaks=power_cut("edge1"),
        at=f.SWITCH,
        after=4,
        mends=up_again("edge1"),
        says=("edge1",),
        cuts="the gateway itself",
        settles=90,
    ),
    Fault(
        name="gateway-power-cut-soak",
        does="edge1, gateway and coordinator, loses its power while the release is watched, and boots",
        breaks=power_cut("edge1"),
        at=f.SOAK,
        after=3,
        mends=up_again("edge1"),
        says=("edge1",),
        cuts="the gateway itself",
        settles=90,
        everyday=True,
    ),
    Fault(
        name="clock-ahead",
        does="the clock that edge1's programs are told jumps ahead by an hour while the release is watched",
        breaks=ahead("edge1"),
        at=f.SOAK,
        after=2,
        mends=right("edge1"),
        ends=f.NEW,
    ),
    Fault(
        name="clock-ahead-app",
        does="the clock that app2's programs are told is an hour ahead, from before the deploy on",
        breaks=ahead("app2"),
        mends=right("app2"),
        ends=f.NEW,
    ),
]
