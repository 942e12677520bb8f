"""The control machine: killed before, in and after each step; two people at once."""

from __future__ import annotations

from . import fault as f
from .fault import Fault
from .scene import Scene

STEPS = {
    "lock": "no other deploy is at work",
    "stage": f.STAGE,
    "schema": "schema as release",
    "layer-2": f.LAYER_2,
    "layer-3": f.LAYER_3,
    "gateway": f.GATEWAY,
    "switch": f.SWITCH,
    "answers": f.ANSWERS,
    "soak": f.SOAK,
    "confirm": f.CONFIRM,
}
MOMENTS = {"before": 0.0, "in": 1.0, "late-in": 4.0}  # seconds after the step began


def kill(scene: Scene) -> None:
    """SIGKILL to the deploy."""
    assert scene.deploy
    scene.deploy.kill()


def killed(step: str, moment: str) -> Fault:
    """The control machine is killed at a moment of a step."""
    after = MOMENTS[moment]
    when = f"{after:.0f} s into" if after else "just when it begins"
    return Fault(
        name=f"killed-{moment}-{step}",
        does=f"the control machine is killed (SIGKILL) {when} the step '{STEPS[step]}'",
        breaks=kill,
        at=STEPS[step],
        after=after,
        ends=f.ANY if step == "confirm" else f.OLD,
        killed=True,
        settles=40,
        everyday=(step, moment) == ("switch", "in"),
    )


LONG = {"layer-2", "switch", "soak"}  # steps that take longer than a few seconds
FAULTS = [
    killed(step, moment)
    for step in STEPS
    for moment in (MOMENTS if step in LONG else ("before", "in") if step == "schema" else ("before",))
]


def second_deploy(scene: Scene) -> None:
    """Another person deploys, without a word of the release."""
    scene.others["second"] = scene.start_deploy("", {}, "second")


def refused(scene: Scene) -> list[str]:
    """The second deploy must have been refused by the lock."""
    second = scene.others["second"]
    code = second.wait()
    found = [] if code else [f"the second deploy ended with exit code {code}"]
    return found + ([] if "tasktracker is locked by" in second.text else ["the second deploy does not name the lock"])


FAULTS.append(
    Fault(
        name="two-deploys",
        does="a second deploy is started while the first is at its images",
        breaks=second_deploy,
        at=f.LAYER_2,
        needs=refused,
        ends=f.NEW,
    )
)
