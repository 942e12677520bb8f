"""What the names of files and images give away: a group that no file belongs to, an image of another PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

from changeover.plan import Plan
from changeover.problems import Problem
from changeover.settings import Postgres

MAJOR = re.compile(r":(?:pg)?(\d{2})(?![0-9])[^/]*$")


def majors(plan: Plan, file_of: Mapping[str, str]) -> Iterable[Problem]:
    """A database's major version against its image's tag, where that tells one: 17, 17.2-bookworm, pg17."""
    for name, system in plan.systems.items():
        for key, service in system.services.items():
            if not isinstance(service, Postgres):
                continue
            found = MAJOR.search((service.image or system.image).partition("@")[0])
            if found and int(found[1]) != service.major:
                message = f"is {service.major}, and its image {service.image or system.image} is PostgreSQL {found[1]}"
                yield Problem(file_of[name], f"{name}.services.{key}.major", message)


def lost_files(plan: Plan, files: Collection[str], directory: str, inventory: str) -> Iterable[Problem]:
    """A mistyped group: pyinfra takes no notice of the file that was meant, and the system would just not be deployed.

    Arguments: the plan; names of the files in group_data; the folder and the inventory that messages name.
    """
    placed = {service.on for system in plan.systems.values() for service in system.services.values()}
    groups = plan.known_groups() - {*files, *placed, plan.fleet.gateway.on}
    for name in set(files) - plan.known_groups():
        for group in get_close_matches(name, sorted(groups), n=1, cutoff=0.8):
            yield Problem(inventory, group, f"no file {directory}/{group}.py; is the group {name} meant?")
