"""What the record says of a run's systems, of its prober, and of the way back from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from changeover import probe, record, series
from changeover.plan import Plan
from changeover.strategy import strategy
from changeover.words import seconds
from operations import before, images, run


def system(plan: Plan, name: str, to: str) -> record.System:
    """What the record says of a system. Arguments: the plan; its name; its release now, or the one asked for."""
    asked = run.was_asked(name)
    came_from = run.known_release(name)
    settings, unknown = before.settings(plan, name, run.live(name)) if asked else (None, "")
    return record.System(
        name=name,
        release=record.Release(from_=came_from, to=to),
        images=images_of(name, to),
        images_before=run.known_images(name).get(came_from or "", {}),
        migration=before.migration(name),
        settings=settings,
        settings_unknown=unknown,
    )


def probed(system: str, name: str, file: Path) -> record.Probe:
    """What the record says of a prober's file. Arguments: the system; the file's name beside the record; the file."""
    return series.probe(name, system, probe.read(file), before.moments())


def until(plan: Plan, back: record.WayBack | None, moved: Sequence[str]) -> record.WayBack | None:
    """A way back, with how long it takes and until when that is so.

    Arguments: the plan; the way back; the systems that the run moved from one release to another.
    """
    if back is None:
        return None
    if any(strategy(plan, name, run.live(name)) == "recreate" for name in moved):
        return back.model_copy(update={"takes": "as long as a start takes, with the maintenance page"})
    confirmed = {one.system: one.until for one in before.MOMENTS if one.kind == "confirm"}
    warm = [
        confirmed[name] + timedelta(seconds=seconds(plan.systems[name].release.keep_warm))
        for name in moved
        if name in confirmed
    ]
    takes = "about 1 s while the slot before is warm, then about 12 s"
    return back.model_copy(update={"takes": takes, "warm_until": min(warm, default=None)})


def images_of(system: str, release: str) -> dict[str, str]:
    """{service: image} of a release, as written down on the hosts, in this run or before."""
    return images.RECORDED.get(system, run.known_images(system)).get(release, {})
