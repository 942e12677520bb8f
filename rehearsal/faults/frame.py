"""Tries one fault: load beside it, break, deploy, look at everything, mend, the same deploy again, look again."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .. import paths
from ..errors import RehearsalError
from ..load import beside
from .fault import ANY, NEW, NOW, OLD, Fault
from .scene import RELEASES, SYSTEM, Scene, wait_until
from .served import Watch, back_after, silent
from .verdict import LEASE, MARGIN, Verdict, said_wrong

QUICK = {f"{SYSTEM}.release.soak": "12s", f"{SYSTEM}.release.lease": f"{LEASE:.0f}s"}
AGAIN = {f"{SYSTEM}.release.soak": "4s"}
RATE, SECONDS, REQUESTS = 25, 900, 22_000
TOLD = 75.0  # seconds until a host that was away knows what it missed: the alarm tries again each 30 s
FOLDER = paths.STATE / "faults"
Say = Callable[[str], None]


def try_out(fault: Fault, say: Say = lambda text: None) -> Verdict:
    """Tries a fault on the rehearsal's hosts. Raises RehearsalError when they are not healthy before it."""
    began = time.monotonic()
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was broken is mended all the same
    scene = Scene(FOLDER / fault.name, wanted=fault.release)
    found = Verdict(fault.name, fault.does, log=str(scene.folder / "deploy.log"))
    try:
        begin(scene, say)
        fault.sets_up(scene)
        say(f"{scene.before} serves everywhere; to come: {scene.wanted}")
        _try(fault, scene, found, say)
    finally:
        if scene.before:
            fault.cleans(scene)
        signal.signal(signal.SIGTERM, before)
    found.took = time.monotonic() - began
    return found


def _try(fault: Fault, scene: Scene, found: Verdict, say: Say) -> None:
    with beside.load(
        scene.folder / "load.json", "--rate", str(RATE), "--clients", "20", "--sockets", "0",
        seconds=SECONDS, requests=REQUESTS,
    ) as load, Watch() as watch:  # fmt: skip
        time.sleep(1)
        with _broken(fault, scene) as broke:
            say(f"broken: {fault.does}")
            found.code = scene.deploy.wait() if scene.deploy else None
            say(f"the deploy ended with exit code {found.code}")
            _judge(fault, scene, found)
            if fault.needs:
                found.wrong += fault.needs(scene)
        say("mended")
        live = _live(scene)
        found.wrong += scene.notes
        found.back = back_after(watch.samples, broke[0], scene.before, scene.wanted) if live == OLD else 0.0
        if found.back > LEASE + MARGIN:
            found.wrong.append(f"the release before served only after {found.back:.0f} s")
        release = scene.before if live == OLD else scene.wanted
        found.wrong += [f"mended: {problem}" for problem in wait_until(lambda: scene.everywhere(release), TOLD)]
        found.wrong += [f"again: {problem}" for problem in converges(fault, scene, say)]
        found.silent = silent(watch.samples)
    found.sent, found.lost = load.result["sent"], load.result["failed"]
    found.kinds = [f"{group['count']} x {kind}" for kind, group in load.result["failures"].items()][:4]
    if found.lost and not fault.cuts:
        found.wrong.append(f"{found.lost} requests were lost, and the fault did not cut the gateway")
    rows = load.result.get("rows", {})
    if not rows.get("ok"):
        found.wrong.append(f"rows: {rows.get('error') or rows}")


def begin(scene: Scene, say: Say) -> None:
    """One release serves everywhere, none is held, nothing is open. Raises RehearsalError when that cannot be had."""
    for release in (*RELEASES, "1.2.0"):
        scene.changeover(f"unhold {SYSTEM} {release}", check=False)
    live = scene.state()["release"]["live"]
    if live not in RELEASES or scene.everywhere(live):
        say("a deploy first")
        wanted = live if live in RELEASES else RELEASES[0]
        first = scene.start_deploy(wanted, dict(AGAIN), "first")
        if first.wait():
            raise RehearsalError("the deploy before the fault failed", "\n".join(first.lines[-20:]), "make rehearsal")
        live = wanted
    if problems := wait_until(lambda: scene.everywhere(live), TOLD):
        raise RehearsalError("the hosts are not healthy before the fault", "\n".join(problems), "make rehearsal")
    scene.before = live
    scene.wanted = scene.wanted or next(release for release in RELEASES if release != live)


@contextmanager
def _broken(fault: Fault, scene: Scene) -> Iterator[list[float]]:
    """The fault has come, and the deploy that meets it runs; mended whatever happens. Gives when it broke (Unix s)."""
    try:
        if fault.at == NOW:
            fault.breaks(scene)
        broke = [time.time()]
        scene.deploy = scene.start_deploy(scene.wanted, {**QUICK, **fault.settings})
        if fault.at != NOW:
            scene.deploy.wait_for(fault.at)
            time.sleep(fault.after)
            broke[0] = time.time()
            fault.breaks(scene)
        yield broke
    finally:
        if scene.deploy:
            scene.deploy.wait()
            for name, deploy in {"deploy": scene.deploy, **scene.others}.items():
                (scene.folder / f"{name}.log").write_text(deploy.text + "\n")
        fault.mends(scene)


def _judge(fault: Fault, scene: Scene, found: Verdict) -> None:
    """While the fault still lasts: what the deploy said, and what serves on every host that can be asked."""
    assert scene.deploy
    found.words = scene.deploy.why
    if fault.unreadable:  # nobody can say what is live; the load says what served
        found.wrong += said_wrong(fault, found.code, scene.deploy.text, OLD)
        return

    def look() -> list[str]:
        release = scene.before if _live(scene) == OLD else scene.wanted
        return scene.everywhere(release, fault.away)

    found.wrong += [f"while it lasts: {problem}" for problem in wait_until(look, LEASE + MARGIN + fault.settles)]
    live = _live(scene)
    if fault.ends not in (ANY, live):
        found.wrong.append(f"the {live} release is live")
    found.wrong += said_wrong(fault, found.code, scene.deploy.text, live)


def _live(scene: Scene) -> str:
    try:
        return NEW if scene.state()["release"]["live"] == scene.wanted else OLD
    except (RehearsalError, ValueError, KeyError):
        return OLD  # a state that cannot be read: then nothing may have moved


def converges(fault: Fault, scene: Scene, say: Say) -> list[str]:
    """What is wrong after the same deploy again, which must bring the release, and once more, which must do nothing."""
    release = scene.before if fault.release else scene.wanted  # a release that is broken itself does not get better
    scene.changeover(f"unhold {SYSTEM} {release}", check=False)
    if fault.release:  # what was left of it is given up by the hosts, and that is in their files
        wait_until(lambda: ["its slots still drain"] if scene.state()["warm"] else [], TOLD)
    again = scene.start_deploy(release, dict(AGAIN), "again")
    if again.wait():
        return [f"exit code not 0: {again.why or again.lines[-3:]}"]
    say(f"the same deploy again: {release} serves")
    third = scene.start_deploy("", dict(AGAIN), "third")
    if third.wait() or "nothing had to be changed" not in third.text:
        (scene.folder / "third.log").write_text(third.text + "\n")
        return ["a deploy after it still had something to do; see third.log"]
    found = wait_until(lambda: scene.everywhere(release), 10)
    said = scene.changeover(f"audit {SYSTEM} --verify", check=False)
    return [*found, *([f"audit: {said}"] if "broken" in said or "damaged" in said else [])]
