"""Which images of a release are known to the byte, and which are only tags yet. Pure.

What is not of a release (a database, a broker: the team names an exact tag or digest) is left to its own name.
"""

from __future__ import annotations

from collections.abc import Mapping

from changeover.live import Live, SlotState
from changeover.plan import Plan
from changeover.stack import follows_release, image, new_release, wanted_release


def images(plan: Plan, system: str, release: str) -> dict[str, str]:
    """{service: image} of a release, by the settings."""
    return {
        name: image(plan, system, name, service, release)
        for name, service in plan.systems[system].services.items()
        if follows_release(plan, system, service)
    }


def unpinned(plan: Plan, system: str, live: Live) -> dict[str, str]:
    """{service: image} of the release that this run brings, where nobody wrote down yet which bytes the tag means.

    What runs already by its tag alone (deployed before digests were written down) goes on so: to name its digest now
    would be to start it anew.
    """
    release = wanted_release(plan, system, live)
    known = live.images.get(release, {})
    return {
        name: found
        for name, found in images(plan, system, release).items()
        if "@" not in found
        and known.get(name, "").partition("@")[0] != found
        and (name in known or not _runs(plan, system, live, name, release))
    }


def found_too(plan: Plan, system: str, live: Live, found: Mapping[str, str]) -> Live:
    """What is live, with the images of this run's release as they will be written down when it is staged.

    Arguments: the plan; the system; what is live; {image: the same with its digest} as looked up in this run.
    """
    release = wanted_release(plan, system, live)
    new = {name: found[plain] for name, plain in images(plan, system, release).items() if plain in found}
    return live.model_copy(update={"images": {**live.images, release: {**live.images.get(release, {}), **new}}})


def written_down(plan: Plan, system: str, live: Live) -> dict[str, str]:
    """{service: image with its digest} of the release that this run is about, where it was written down."""
    release = wanted_release(plan, system, live)
    found = images(plan, system, release)
    pinned = {name: live.pinned(release, name, plain) for name, plain in found.items()}
    return {name: image for name, image in pinned.items() if image != found[name]}


def moved_tags(plan: Plan, system: str, live: Live, tags: Mapping[str, str]) -> list[str]:
    """What a person should know of tags that were pushed again: the release stays as it was staged.

    Arguments: the plan; the system; what is live; {image with its tag: its digest now}.
    """
    release = wanted_release(plan, system, live)
    return [
        f"{plain} is another image now ({_short(tags[plain])}); {system} {release} stays the one that was staged "
        f"({_short(digest)}); to ship the new one, give it a version of its own"
        for plain, _, digest in (image.partition("@") for image in written_down(plan, system, live).values())
        if tags.get(plain, digest) != digest
    ]


def _short(digest: str) -> str:
    return digest[:19]


def _runs(plan: Plan, system: str, live: Live, name: str, release: str) -> bool:
    if name not in plan.switched(system):
        return not new_release(plan, system, live)
    slots = live.slots.get(name, SlotState())
    return release in (slots.blue, slots.green)


def wanted(plan: Plan, system: str, host: str, live: Live) -> list[str]:
    """The images of the release that this run brings, of the services of a host; as they were written down."""
    release = wanted_release(plan, system, live)
    here = plan.services_on(system, host)
    found = {
        live.pinned(release, name, plain) for name, plain in images(plan, system, release).items() if name in here
    }
    return sorted(found)
