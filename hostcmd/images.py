"""This host's images: those of releases that are not kept are removed, and what is there is told.

Only images that this command's own state wrote down are ever removed, and none that a container was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from hostcmd import kept, peers, run, written
from hostcmd.site import Site, load, systems
from hostcmd.state import State

ASK = 15.0  # seconds that a question to the engine may take
REMOVE = 60.0  # seconds to remove images
FORMAT = "{{.Id}}\t{{json .RepoTags}}\t{{json .RepoDigests}}"
Found = dict[str, tuple[str, list[str]]]


def by_digest(image: str) -> str:
    """repo@sha256:... of repo:tag@sha256:..., as the engine lists it."""
    name, _, digest = image.partition("@")
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}@{digest}"


def familiar(image: str) -> str:
    """A name as the engine lists it: without docker.io/ and its library/."""
    for prefix in ("docker.io/", "index.docker.io/"):
        image = image.removeprefix(prefix)
    return image.removeprefix("library/")


def here(site: Site, images: Iterable[str]) -> Found:
    """{image: (its id, its tags)} of those that are on this host."""
    wanted = sorted(images)
    if not wanted:
        return {}
    words = ["docker", "image", "inspect", "--format", FORMAT, *map(by_digest, wanted)]
    lines = [line.split("\t") for line in run.run(words, root=site.root, timeout=ASK).out.splitlines()]
    found: Found = {}
    for image_id, tags, digests in (line for line in lines if len(line) == 3):
        for image in wanted:
            if familiar(by_digest(image)) in map(familiar, json.loads(digests) or []):
                found[image] = (image_id, json.loads(tags) or [])
    return found


def _used(site: Site) -> set[str] | None:
    """Ids of the images that containers of this host were made from, running or not; None: the engine cannot say."""
    ids = run.run(["docker", "ps", "-aq", "--no-trunc"], root=site.root, timeout=ASK)
    if ids.code:
        return None
    if not ids.out.split():
        return set()
    words = ["docker", "container", "inspect", "--format", "{{.Image}}", *ids.out.split()]
    found = run.run(words, root=site.root, timeout=ASK)
    return None if found.code else set(found.out.split())


def _kept_by_all(site: Site, own: State) -> set[str]:
    """The images that any system of this host keeps. Raises Stop where one cannot say."""
    found = kept.images(own, kept.kept(own, site.keep_releases))
    for name in set(systems(site.root)) - {site.system}:
        one = load(site.root, name)
        now = written.state(one)
        found |= kept.images(now, kept.kept(now, one.keep_releases))
    return found


def prune(site: Site, now: State) -> list[str]:
    """Removes the images of releases that this host's state does not keep; those that are gone now.

    Safe to be killed and to be run again: it only looks at what is written down and what is there. Raises Stop.
    """
    old = kept.superseded(now, site.keep_releases)
    if not old:
        return []
    stay = _kept_by_all(site, now)
    there = here(site, old | stay)
    in_use = _used(site)
    if in_use is None:
        return []
    busy = in_use | {image_id for image, (image_id, _) in there.items() if image in stay}
    gone = [image for image in sorted(old) if image in there and there[image][0] not in busy]
    for image in gone:
        tags = [tag for tag in there[image][1] if familiar(tag) == familiar(kept.plain(image))]
        # without force: the engine itself refuses what a container uses
        run.run(["docker", "image", "rm", *tags, by_digest(image)], root=site.root, timeout=REMOVE)
    left = here(site, gone)
    return [image for image in gone if image not in left]


def pruned_everywhere(site: Site, now: State) -> dict[str, list[str]]:
    """{host: images removed} after a confirmation. A host that is away, or fails, does it after the next one."""
    if not kept.superseded(now, site.keep_releases):
        return {}
    found, _ = peers.ask_all(site, dict.fromkeys(site.hosts, {"verb": "prune"}), REMOVE)
    return {host: one["removed"] for host, one in found.items() if one["removed"]}


def missing(site: Site, now: State) -> dict[str, list[str]]:
    """{release: services of this host whose image is not here}, of all that is written down."""
    mine = {
        release: {
            service: image
            for service, image in images.items()
            if service in site.services and site.me in site.services[service].hosts
        }
        for release, images in now["images"].items()
    }
    there = here(site, {image for images in mine.values() for image in images.values()})
    return {
        release: sorted(service for service, image in images.items() if image not in there)
        for release, images in mine.items()
        if images
    }


def whereabouts(site: Site) -> dict[str, str]:
    """{release: where its images are, in words}, of all releases that the hosts speak of."""
    answers, away = peers.ask_all(site, dict.fromkeys(site.hosts, {"verb": "images"}))
    words = {}
    for release in {release for one in answers.values() for release in one["missing"]}:
        have = {host: one["missing"][release] for host, one in answers.items() if release in one["missing"]}
        lacking = sorted(host for host, services in have.items() if services)
        where = "images here" if not lacking else "images gone" if len(lacking) == len(have) else ""
        words[release] = where or f"images here, not on {', '.join(lacking)}"
        if away:
            words[release] += f" ({', '.join(sorted(away))} not asked)"
    return words


