"""The host's own alarm: systemd runs `changeover recover SYSTEM` later, whether or not anybody is there.

The alarm decides nothing: recover looks at the state. So one that comes too early, or twice, does no harm.
"""

from __future__ import annotations

from hostcmd import clock, run
from hostcmd.site import Site
from hostcmd.state import State
from hostcmd.stop import FAILED, Stop

PROGRAM = "/usr/local/bin/changeover"
LIMIT = 15.0  # seconds that systemd may take to answer
WATCH = 20.0  # seconds after which a change that was killed half-way is looked after
RETRY = 30.0  # seconds between two attempts to tell a host that was away
SLACK = 0.2  # seconds, so that the alarm comes after the deadline and not just before


def arm(site: Site, seconds: float) -> str:
    """`recover` runs in so many seconds; the alarm's name. Raises Stop (1) when systemd refuses."""
    # every alarm has a name of its own: one that is firing cannot be made again under the same name
    unit = f"changeover-lease-{site.system}.{clock.boottime() * 1000:.0f}"
    words = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds + SLACK:.3f}s"]
    words += ["--timer-property=AccuracySec=100ms"]  # systemd's own default is a minute
    words += ["--property=Restart=on-abnormal", "--property=RestartSec=5s"]  # killed itself, it comes again
    words += [PROGRAM, "recover", site.system]
    result = run.run(words, root=site.root, timeout=LIMIT)
    if result.code:
        fact = (
            f"no timer can be set on {site.me}, so nothing would go back by itself: {run.last_line(result)}"
        )
        raise Stop(FAILED, fact, f"on {site.me}: systemctl is-system-running")
    return unit


def disarm(site: Site, but: str = "") -> None:
    """No other alarm is set any more; one that is left by an error only finds nothing to do."""
    base = ["systemctl", "list-units", "--type=timer", "--all", "--plain", "--no-legend"]
    found = run.run([*base, f"changeover-lease-{site.system}.*.timer"], root=site.root, timeout=LIMIT)
    names = [line.split()[0] for line in found.out.splitlines() if line.strip()]
    if others := [name for name in names if name != f"{but}.timer"]:
        run.run(["systemctl", "stop", "--no-block", *others], root=site.root, timeout=LIMIT)


def behind(site: Site, state: State) -> bool:
    """Whether a gateway was not told yet where traffic goes: it may still send users to the idle slot."""
    return any(debt["host"] in site.gateways for debt in state["pending"])


def due(site: Site, state: State) -> float | None:
    """Seconds until somebody should look again; None for never."""
    waits = [clock.left(site.root, state[what]) for what in ("lease", "warm") if state[what]]
    if behind(site, state):
        waits = [clock.left(site.root, state["lease"])] if state["lease"] else []
    if state["pending"]:
        waits.append(RETRY)
    return min(waits) if waits else None


def reset(site: Site, state: State) -> None:
    """One alarm for what is due next, or none; never none in between. Raises Stop (1)."""
    seconds = due(site, state)
    disarm(site, but=arm(site, max(seconds, 1.0)) if seconds is not None else "")
