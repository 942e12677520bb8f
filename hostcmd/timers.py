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


def arm(site: Site, seconds: float) -> None:
    """`recover` runs in so many seconds. Raises Stop (1) when systemd refuses."""
    # every alarm has a name of its own: one that is firing cannot be made again under the same name
    unit = f"changeover-lease-{site.system}.{clock.boottime() * 1000:.0f}"
    words = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--on-active={seconds + SLACK:.3f}s"]
    words += ["--timer-property=AccuracySec=100ms", PROGRAM, "recover", site.system]
    result = run.run(words, root=site.root, timeout=LIMIT)
    if result.code:
        fact = (
            f"no timer can be set on {site.me}, so nothing would go back by itself: {run.last_line(result)}"
        )
        raise Stop(FAILED, fact, f"on {site.me}: systemctl is-system-running")


def disarm(site: Site) -> None:
    """No alarm is set any more; one that is left by an error only finds nothing to do."""
    words = ["systemctl", "stop", "--no-block", f"changeover-lease-{site.system}.*.timer"]
    run.run(words, root=site.root, timeout=LIMIT)


def due(site: Site, state: State) -> float | None:
    """Seconds until somebody should look again; None for never."""
    waits = [clock.left(site.root, state[what]) for what in ("lease", "warm") if state[what]]
    if state["pending"]:
        waits.append(RETRY)
    return min(waits) if waits else None


def reset(site: Site, state: State) -> None:
    """One alarm for what is due next, or none. Raises Stop (1)."""
    disarm(site)
    seconds = due(site, state)
    if seconds is not None:
        arm(site, max(seconds, 1.0))
