"""Watching a release: the prober runs from before the switch to the end of the soak, and its failures count."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import gevent

from changeover import early
from changeover.gates import LOOKS
from changeover.gateway import sticky
from changeover.plan import Plan
from changeover.probe import Config, ProbeError, Prober, Request, Sample, Tail, read
from changeover.routes import health_paths
from changeover.settings import App
from changeover.settings_steps import ALL
from changeover.standing import Standing, expected
from changeover.words import seconds
from operations import before, flow, run
from operations.ask import spoken
from operations.looks import Looks, Spawn

Ask = Callable[..., tuple[bool, list[str]]]  # the host command's words -> whether it did, and what it said

PROBERS: dict[str, Prober] = {}
CONFIRMED: set[str] = set()  # systems whose release this run has confirmed
COUNTS: dict[Path, Count] = {}  # the file of a prober -> what is counted of it
SINCE: dict[str, float] = {}  # system -> when its traffic moved in this run (monotonic)
OPEN: dict[str, str] = {}  # system -> what becomes of a switch that this run has not confirmed
WENT_BACK, BY_LEASE = "went back", "goes back by itself"
CUT_OFF = "is undone by the hosts themselves, or goes back"  # nobody said how the switch ended
HALF_WAY = "half-way, goes back by itself"  # a recreate that is open, a rolling release between two hosts, a step
PAUSED = "paused at a step: part of the clients stay on the new release"
UNSAID = "perhaps paused at a step: nobody said how it ended"  # so perhaps without a lease
FIRST, LAST = "first", "last"  # as whom the prober asks at weighted steps: who has the release from the first one on
SEEN: dict[str, str] = {}  # system -> what its prober has seen so far, in words
SAID: list[str] = []  # what the host command said of switches that users saw something of
FOLDER = Path("reports")
EVERY = LOOKS  # seconds between two looks at the prober's file
LOOK = 5.0  # seconds between two looks at the containers of all hosts
OPEN_EVERY = 2.0  # seconds between two WebSockets that the prober opens anew
SOON = 0.5  # seconds until a host that was silent is asked again: its time limit was a pause already
OWN_HEALTH = "/nginx-health"  # of a system without any slots there is nothing else to ask
AFTER = 30.0  # seconds that the prober may outlive lease and soak, when nobody stops it
TURN = 120.0  # seconds of a host's turn beside its pause, starts and tests
BUSY = 3  # exit code of the host command: somebody else is at work


def config(plan: Plan, system: str) -> Config | None:
    """What the prober asks of a system; None for one without a gateway.

    Behind a person's maintenance page that is only what answers there.
    """
    settings = plan.systems[system]
    if not settings.domain:
        return None
    gateway = plan.fleet.gateway
    own = f"{plan.gateways(system)[0].address}:{gateway.https_port if settings.tls else gateway.http_port}"
    address, _, port = (gateway.reach or own).rpartition(":")
    release = settings.release
    paged = run.paged(system)
    # A GET is sent without a body: not even an empty one, which some servers refuse.
    asked = [one.model_dump(by_alias=True) | {"json": one.json_ or None} for one in release.probe if not paged]
    return Config(
        base_url=f"{'https' if settings.tls else 'http'}://{settings.domain}:{port}",
        address=address,
        ca=plan.trusted(system),
        requests=[Request.model_validate(one) for one in asked]
        or [Request(path=path) for path in health_paths(settings, paged) or [OWN_HEALTH]],
        websocket=None if paged else release.websocket,
        open_every=OPEN_EVERY,
        seconds=seconds(release.lease) + seconds(release.soak) + turns(plan, system) + 600 + AFTER,
        clients=clients(plan, system),
    )


def clients(plan: Plan, system: str) -> dict[str, dict[str, str]]:
    """As whom the prober asks a system with weighted steps: the first to get a release, and the last.

    So that it sees both slots at each step: the first part of the clients, and chosen where some are; the last part.
    """
    if not plan.systems[system].release.steps:
        return {}
    first = f"{sticky(system)}=0"
    if early.chosen(plan.systems[system]):
        first += f"; {early.cookie(system)}={next(iter(early.values(plan, system, run.secrets()).values()))}"
    return {FIRST: {"cookie": first}, LAST: {"cookie": f"{sticky(system)}=99"}}


def turns(plan: Plan, system: str) -> float:
    """Seconds that turns or steps may take before the switch, which one prober sees all; 0 where there are none."""
    release = plan.systems[system].release
    if release.strategy != "rolling":
        return sum(seconds(step.hold) + TURN for step in release.steps if step.who.percent < ALL)
    services = [one for one in plan.systems[system].services.values() if isinstance(one, App)]
    # The candidate's; the workers', which the host command waits for twice; and what may begin while it is watched.
    starts = 4 * max((seconds(one.start_timeout) for one in services), default=0.0)
    asked = sum(seconds(one.timeout) for service in services for one in (service.ready, service.test) if one)
    return len(plan.turns(system)) * (seconds(release.pause) + starts + asked + TURN)


def start(plan: Plan, system: str, txn: str, when: str = "before the switch") -> str | None:
    """Starts the prober of a system; it must see answers before anything is switched.

    Returns None, or why it could not begin: what does not answer before a switch proves nothing after it. `when`: for
    that message.
    """
    made = config(plan, system)
    if made is None:
        return None
    FOLDER.mkdir(exist_ok=True)
    prober = Prober(made, FOLDER / f".probe-{txn}-{system}.jsonl")
    try:
        prober.start()
    except (ProbeError, OSError) as error:
        return f"the prober cannot begin: {error}"
    PROBERS[system], COUNTS[prober.out] = prober, Count(prober.out)
    time.sleep(EVERY)
    failed = [sample for sample in read(prober.out) if sample.error]
    if failed:
        prober.stop()
        return f"{when} {failed[0].method} {failed[0].path} fails already: {failed[0].error}"
    return None


class Count:
    """A prober's answers so far, counted as they come: a step may be held for hours."""

    def __init__(self, file: Path) -> None:
        self.sent = self.failed = 0
        self.first: Sample | None = None  # the first that failed
        self._tail = Tail(file)

    def look(self) -> None:
        """Takes in what came since the last look."""
        for sample in self._tail.new():
            self.sent += 1
            self.failed += bool(sample.error)
            if sample.error and (self.first is None or sample.t < self.first.t):
                self.first = sample


class Renewal:
    """The lease of a switch under watch. That the host is busy, or silent, is no reason while it lasts."""

    def __init__(self, lease: float, ask: Callable[[], tuple[bool, list[str]]]) -> None:
        """Arguments: the lease's seconds; what asks the host command to renew it, for a machine (`--json`)."""
        self._lease, self._ask = lease, ask
        self._next, self._ends = 0.0, time.monotonic() + lease

    @property
    def left(self) -> float:
        """Seconds until it ends, unless it is renewed."""
        return max(0.0, self._ends - time.monotonic())

    def due(self) -> str | None:
        """Renews it when a third of it is over; why the release must go back instead, or None."""
        now = time.monotonic()
        if now < self._next:
            return None
        done, lines = self._ask()
        if done:
            self._next, self._ends = now + self._lease / 3, now + self._lease
            return None
        said = spoken(lines) or {}
        if said.get("code", BUSY) == BUSY and time.monotonic() < self._ends:
            self._next = time.monotonic() + EVERY
            return None
        words = [said["error"], f"next: {said.get('next')}"] if "error" in said else lines
        return f"the lease could not be renewed: {' '.join(words)}"


class Judges(Protocol):
    """What else judges a release while it is watched (operations/gates.py), at its own pace."""

    def reasons(self) -> list[str]:
        """Why it should go back."""

    def end(self) -> list[str]:
        """The same when the soak is over."""

    @property
    def undecided(self) -> bool:
        """Whether the soak must not end yet."""


def soak(
    plan: Plan,
    system: str,
    ask: Ask,
    txn: str,
    length: float | None = None,
    gates: Judges | None = None,
    spawn: Spawn = gevent.spawn,
) -> list[str]:
    """Watches until the soak is over and all that went live is healthy; gives the reasons for going back, or none.

    Who is silent when the soak is over is asked again, until it answers or is given up: a host, or the coordinator.

    Arguments: the plan; the system; what asks the coordinator's host command; the run's id, whose lease is renewed;
    seconds (default: the soak's); what judges it beside prober and hosts; what runs a look at the hosts beside this.
    """
    release = plan.systems[system].release
    began = time.monotonic()
    end = began + (seconds(release.soak) if length is None else length)
    standing = Standing()
    renewal = Renewal(seconds(release.lease), lambda: ask("renew", system, "--txn", txn, "--json"))
    hosts = Looks(lambda now: stands(plan, system, ask, standing, now - began), spawn)
    try:
        while True:
            if reason := renewal.due():
                return [reason]
            left = f"{max(0.0, end - time.monotonic()):.0f} s under watch left"
            flow.DOING[system] = "; ".join(filter(None, [left, SEEN.get(system), f"lease {renewal.left:.0f} s"]))
            reasons = judge(system, release.max_failed) or (gates.reasons() if gates else []) or hosts.reasons
            if reasons:
                return reasons
            now = time.monotonic()
            if not hosts.under_way:
                known = hosts.began >= end and not standing.starting and not standing.missing
                if known and not (gates and gates.undecided):
                    return gates.end() if gates else []
                if now >= end or standing.missing or now >= hosts.began + LOOK:
                    hosts.begin()
            time.sleep(SOON if standing.missing or hosts.under_way else EVERY)
    finally:
        hosts.end()


def moved(system: str) -> None:
    """From here on the new release serves, and goes back by itself unless it is confirmed."""
    OPEN[system], SINCE[system] = BY_LEASE, time.monotonic()


def stands(plan: Plan, system: str, ask: Ask, standing: Standing, late: float) -> list[str]:
    """Why the containers of the live slots ask for going back; one more look at all hosts.

    Arguments: as in soak; what is known of them; seconds since the switch.
    """
    served = time.monotonic() - SINCE.get(system, time.monotonic())  # asked below: rather too short
    done, lines = ask("status", system, "--json")
    said = spoken(lines) if done else None
    if said is None or not {"slots", "hosts"} <= set(said):
        return standing.unheard(" ".join(lines))
    weighed = bool(said.get("weight"))
    wanted = expected(plan, system, said["slots"], said.get("staged", ()), said.get("rolled", ()), weighed)
    gateways = [gateway.name for gateway in plan.gateways(system)]
    services = plan.systems[system].services
    older = {one for one in wanted if getattr(services[one[1].rpartition("-")[0]], "slots", None)}
    reasons = standing.look(set(wanted), said["hosts"], gateways, said.get("pending", ()), older, served)
    if said.get("pending"):
        ask("recover", system)  # they are told again now, and not only when the alarm comes
    return reasons + [
        f"{name} on {host} is not healthy after {wanted[host, name]:g} s (start_timeout)"
        for host, name in sorted(standing.starting)
        if late > wanted[host, name]
    ]


def judge(system: str, most: int) -> list[str]:
    """Why the prober's answers so far ask for going back; empty while they do not."""
    prober = PROBERS.get(system)
    if prober is None:
        return []
    found = COUNTS.setdefault(prober.out, Count(prober.out))
    found.look()
    SEEN[system] = f"{found.failed} of {found.sent:,} probes failed"
    first = found.first
    if found.failed <= most or first is None:
        return [] if prober.running else [f"the prober has ended, so nothing watches the release; see {prober.out}"]
    where = f" (slot {first.slot})" if first.slot else ""
    return [
        f"{found.failed} of {found.sent} probes failed (limit {most})",
        f"first at {first.t}: {first.method} {first.path}{where}: {first.error}",
    ]


def confirmed(system: str) -> None:
    """A system's release stays; nothing of its switch is open any more."""
    OPEN.pop(system, None)
    CONFIRMED.add(system)
    before.moved(system, "confirm")


def stop(system: str) -> tuple[Path, int, int] | None:
    """Ends the prober of a system: its file, requests sent and failed; None when there was none."""
    prober = PROBERS.pop(system, None)
    if prober is None:
        return None
    found = prober.stop()
    return prober.out, found["sent"], found["failed"]
