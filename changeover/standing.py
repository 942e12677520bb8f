"""Whether what went live stays up: the containers of the live slots, as the hosts say it again and again. Pure.

The prober sees what a gateway's users see, and a gateway passes over a host that fails. A container that crashes again
and again on one host of two, or a worker that no user talks to, shows only here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from changeover.live import other
from changeover.plan import Plan
from changeover.settings import App
from changeover.words import seconds

AWAY = 3  # looks in a row that a host may miss: a release is not judged by one lost packet
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
UP = re.compile(r"^Up (?P<number>\d+|About an?|Less than a) (?P<unit>[a-z]+?)s?\b")


def expected(
    plan: Plan,
    system: str,
    slots: Mapping[str, Mapping[str, Any]],
    staged: Collection[str] = (),
    rolled: Collection[str] = (),
    weighed: bool = False,
) -> dict[tuple[str, str], float]:
    """{(host, container) of the live slots: seconds it may take to get healthy}.

    Arguments: the plan; the system; `slots` of `changeover status --json`, and the `staged` services of which the
    `rolled` hosts run the other slot already, or which are `weighed`: then both slots serve, where they take traffic.
    """
    services = plan.systems[system].services

    def serving(host: str, name: str) -> list[str]:
        live, service = slots[name]["live"], services[name]
        if name not in staged or not (host in rolled or weighed):
            return [str(live)]
        both = weighed and isinstance(service, App) and service.slots
        return [str(live), other(live)] if both else [str(live) if weighed else other(live)]

    return {
        (host.name, f"{name}-{slot}"): seconds(services[name].start_timeout)
        for name in plan.switched(system)
        if name in slots and slots[name]["live"]
        for host in plan.hosts_of(system, name)
        for slot in serving(host.name, name)
    }


def uptime(status: str) -> int | None:
    """Seconds, as coarse as the engine says them ("Up About a minute (healthy)"); None where it says none."""
    found = UP.match(status)
    if not found or found["unit"] not in UNITS:
        return None
    number = int(found["number"]) if found["number"].isdigit() else int(found["number"].startswith("About"))
    return number * UNITS[found["unit"]]


def youngest(status: str) -> int | None:
    """Seconds that it is up at most, by what the engine says; None where it says nothing."""
    up, found = uptime(status), UP.match(status)
    return None if up is None or found is None else up + UNITS[found["unit"]]


class Standing:
    """What is known of the containers since the first look; one for each soak."""

    def __init__(self) -> None:
        self._up: dict[tuple[str, str], int | None] = {}  # those that were healthy, and how long they were up then
        self._away: dict[str, int] = {}
        self._unheard = 0
        self.starting: set[tuple[str, str]] = set()
        """(host, container) of those that were not healthy yet, as at the last look; for how long, the caller knows."""

    @property
    def missing(self) -> list[str]:
        """Hosts that did not answer the last look, or are owed something, or who asks; too few times to be given up."""
        return [*(host for host, looks in self._away.items() if looks), *["the coordinator"][: self._unheard]]

    def look(
        self,
        wanted: set[tuple[str, str]],
        hosts: Mapping[str, Mapping[str, Any]],
        gateways: Collection[str] = (),
        pending: Collection[Mapping[str, Any]] = (),
        older: Collection[tuple[str, str]] = (),
        served: float = 0.0,
    ) -> list[str]:
        """Why the release should go back, after one more look; empty while nothing speaks for it.

        Arguments: (host, container) that must be up; `hosts` of `changeover status --json`; hosts that must answer too;
        its `pending`: hosts that did not do what they were told, and why; those of `wanted` that ran before the
        traffic came, and seconds that it has been there: one that is younger was started again, before the first look.
        """
        self.starting, self._unheard = set(), 0
        owed = {debt["host"]: debt.get("why") or "it was away" for debt in pending}
        here = {host: hosts.get(host, {}) for host in sorted({*gateways, *owed, *(host for host, _ in wanted)})}
        for host in {*here, *self._away}:
            well = host not in here or here[host].get("reachable") and host not in owed
            self._away[host] = 0 if well else self._away.get(host, 0) + 1
        heard = [one for one in sorted(wanted) if here[one[0]].get("reachable")]
        found = [self._judge(one, here[one[0]]["containers"], served if one in older else 0.0) for one in heard]
        return [
            *(line for line in found if line),
            *(
                f"{host} did not do what it was told, and does not yet: {owed[host]}"
                if said.get("reachable")
                else f"{host} does not answer any more: {said.get('error', 'no word')}"
                for host, said in here.items()
                if self._away[host] >= AWAY
            ),
        ]

    def unheard(self, words: str) -> list[str]:
        """The same after a look of which nothing came back. `words`: what the coordinator said instead."""
        self._unheard += 1
        why = f"the coordinator does not say what runs any more: {words or 'no word'}"
        return [why] if self._unheard >= AWAY else []

    def _judge(self, one: tuple[str, str], containers: Mapping[str, Mapping[str, Any]], served: float) -> str | None:
        host, name = one
        said = containers.get(name, {"state": "gone", "healthy": False, "status": "not there"})
        # What was never healthy may take its start_timeout, also where its checks have given up before.
        if said["state"] != "running" or "(unhealthy)" in said["status"] and one in self._up:
            return f"{name} on {host} is not up: {said['status']}"
        if one not in self._up and (most := youngest(said["status"])) is not None and most < served:
            return f"{name} on {host} has started again since the switch: {said['status']}"
        up, before = uptime(said["status"]), self._up.get(one)
        if one in self._up and (not said["healthy"] or None not in (up, before) and up < before):  # type: ignore[operator]
            return f"{name} on {host} was healthy, and has started again since: {said['status']}"
        if said["healthy"]:
            self._up[one] = up
        else:
            self.starting.add(one)
        return None
