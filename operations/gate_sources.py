"""Where a gate's number comes from while a release is watched: the prober's file, and questions to the hosts.

Each question has a time limit of its own and runs in a greenlet of its own, so that none delays the lease.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.pool import Pool

from changeover import gate_asks, gate_readings, probe
from changeover.gate_asks import Sides
from changeover.gate_readings import ReadingError, of_answer, of_lines, of_prometheus, of_samples, percentile
from changeover.gates import Reading, worst
from changeover.plan import Plan
from changeover.probe import Sample
from changeover.settings import Gate
from changeover.settings_gates import LONGEST_WINDOW, Source
from changeover.words import seconds
from operations.ask import shell, spoken

SCRIPT = (Path(__file__).parent / "on_host" / "asks.py").read_text()
Ask = Callable[[str], Any]
SIDES = ("new", "old")
MOST = 4  # questions that a host is asked at once: sshd takes ten sessions, and lease, lock and status need theirs
AT_ONCE: dict[str, BoundedSemaphore] = {}  # host -> who may ask it now
KEEP = float(LONGEST_WINDOW)  # seconds of samples that are kept for windows


class Series:
    """The prober's samples, each with the time at which this process saw it: a wall clock that jumps moves none."""

    def __init__(self, file: Path, whole: bool = False, client: str | None = None) -> None:
        """Arguments: the prober's file; whether what is in it already counts; the one client that does (None: all)."""
        self._client = client
        self._tail = probe.Tail(file, 0 if whole or not file.exists() else file.stat().st_size)
        self._seen: deque[tuple[float, Sample]] = deque()

    def read(self) -> None:
        """Takes in what was written since the last time: whoever wants to know when a sample came reads often."""
        found = [one for one in self._tail.new() if one.client in (None, self._client or one.client)]
        now = time.monotonic()
        self._seen += [(now, sample) for sample in found]
        while self._seen and self._seen[0][0] < now - KEEP:
            self._seen.popleft()

    def within(self, span: float) -> list[Sample]:
        """The samples of the last `span` seconds."""
        self.read()
        since = time.monotonic() - span
        return [sample for at, sample in self._seen if at > since]


class Sources:
    """Asks for one release of one system: of the new slots beside the old ones, or of the old ones alone before it."""

    def __init__(self, plan: Plan, system: str, sides: Sides, series: Series | None, host: Ask) -> None:
        """Arguments: the plan; the system; its slots; the prober's samples; pyinfra's host by its name."""
        self._plan, self._system, self._sides, self._series, self._host = plan, system, sides, series, host
        self._pairs: dict[str, deque[tuple[float, float | None, float | None]]] = {}  # gate -> (time, new ms, old ms)

    def measure(self, gate: Gate) -> Reading:
        """One look at a gate, in its time limit; never raises for what is asked."""
        limit = seconds(gate.source.timeout)
        try:
            with gevent.Timeout(limit, TimeoutError(f"no answer within {gate.source.timeout}")):
                return self._measure(gate)
        except (ReadingError, TimeoutError, OSError) as error:
            return Reading(error=str(error) or type(error).__name__)

    def _measure(self, gate: Gate) -> Reading:
        source = gate.source
        if source.probe and gate.baseline:
            return self._beside(gate)
        if source.probe:
            value, count = of_samples(source, self._series.within(seconds(gate.window)) if self._series else [])
            return Reading(value, count=count)
        if source.sql:
            host, words = gate_asks.query(self._plan, self._system, source, self._filled(source, source.sql, "new"))
            return Reading(self._printed(host, words, source))
        if source.http and not source.service:
            return Reading(of_answer(source, self._gateway(source)))
        value, baseline = self._slots(gate, "new"), None
        if gate.baseline:
            with contextlib.suppress(ReadingError):  # an old slot that is ill is no fault of the new one
                baseline = self._slots(gate, "old")
        return Reading(value, baseline)

    def _slot(self, service: str, side: str) -> str | None:
        return (self._sides.new if side == "new" else self._sides.old).get(service)

    def _slots(self, gate: Gate, side: str) -> float | None:
        """The worst number of a side's slots, on all hosts of the service."""
        source, system = gate.source, self._system
        if source.promql:
            return self._prometheus(gate, side)
        service = source.service or ""
        slot = self._slot(service, side)
        if slot is None:
            return None

        def one(host: str) -> float | None:
            if source.cmd:
                return self._printed(host, gate_asks.in_slot(system, service, slot, source), source)
            url = gate_asks.url(self._plan, system, host, service, slot, str(source.http))
            return of_answer(source, self._asked(host, [url], source, bodies=True)[0][1])

        hosts = self._names(service)
        found = Pool(len(hosts)).map(_caught(one), hosts)
        for value in found:
            if isinstance(value, ReadingError):
                raise value
        return worst(gate, [value for value in found if value is not None]) if None not in found else None

    def _beside(self, gate: Gate) -> Reading:
        """The prober's GETs, asked of both slots side by side: under the same load, at the same time, the same way."""
        source, now = gate.source, time.monotonic()
        rounds = gate_asks.rounds(self._plan, self._system, gate)
        pages = gate_asks.pages(self._plan, self._system, source)
        kept = self._pairs.setdefault(gate.name, deque())

        def one(host: str) -> list[tuple[float | None, float | None]]:
            here = [page for page in pages if host in self._names(page[0])]
            asks = [(number, side) for number, (name, _) in enumerate(here) for side in SIDES if self._slot(name, side)]
            urls = [
                gate_asks.url(self._plan, self._system, host, here[number][0], str(slot), here[number][1])
                for number, side in asks
                if (slot := self._slot(here[number][0], side))
            ]
            times: dict[tuple[int, str], list[float | None]] = {ask: [] for ask in asks}
            for index, said in self._asked(host, urls, source, rounds=rounds):
                times[asks[index]].append(said.get("ms", said.get("late")))
            for asked in {(here[number][0], side) for number, side in asks}:  # service and side: one slot
                mine = {ask: some for ask, some in times.items() if (here[ask[0]][0], ask[1]) == asked}
                times |= gate_readings.whole(mine, rounds)
            both = [[times.get((number, side), []) for side in SIDES] for number in range(len(here))]
            return [pair for new, old in both for pair in itertools.zip_longest(new, old)]

        hosts = list(dict.fromkeys(name for service, _ in pages for name in self._names(service)))
        for pairs in Pool(len(hosts)).map(_caught(one), hosts):
            if isinstance(pairs, ReadingError):
                raise pairs
            kept += [(now, *pair) for pair in pairs]
        while kept and kept[0][0] < now - seconds(gate.window):
            kept.popleft()
        whole = [(new, old) for _, new, old in kept if new is not None and old is not None]
        value, count = percentile(str(source.probe), [new for _, new, _ in kept if new is not None])
        baseline, counted = percentile(str(source.probe), [old for _, _, old in kept if old is not None])
        ratio = gate.baseline.ratio if gate.baseline else 1.0
        return Reading(value, baseline, count, counted, gate_readings.slower(ratio, whole) if whole else None)

    def _names(self, service: str) -> list[str]:
        return [host.name for host in self._plan.hosts_of(self._system, service)]

    def _asked(
        self, host: str, urls: list[str], source: Source, rounds: int = 1, bodies: bool = False
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """What a host itself sees of some URLs: (which of them, answer), as many as the time allowed."""
        headers = {} if source.promql else gate_asks.headers(self._plan, self._system)
        asks = [{"url": url, "headers": headers} for url in urls]
        given = {"asks": asks, "rounds": rounds, "seconds": seconds(source.timeout) * gate_asks.SHARE, "bodies": bodies}
        lines = self._shell(host, [*gate_asks.limited(source), "python3", "-c", SCRIPT, json.dumps(given)], source)
        found = spoken(lines)
        if found is None or not found.get("answers"):
            raise ReadingError(f"{host} did not say: {' '.join(lines)[:200]}")
        return [(index, answer) for index, answer in found["answers"]]

    def _printed(self, host: str, words: list[str], source: Source) -> float | None:
        return of_lines(self._shell(host, words, source))

    def _shell(self, host: str, words: list[str], source: Source) -> list[str]:
        with AT_ONCE.setdefault(host, BoundedSemaphore(MOST)):
            done, lines = shell(self._host(host), words, math.ceil(seconds(source.timeout)))
        if not done:
            raise ReadingError(f"{host}: {' '.join(' '.join(lines).split())[:300] or 'it failed without a word'}")
        return lines

    def _filled(self, source: Source, text: str, side: str) -> str:
        """A query with $slot and $release."""
        names = [source.service, *self._plan.switched(self._system)]
        slots = [slot for name in names if name and (slot := self._slot(name, side))]
        release = self._sides.release if side == "new" else self._sides.before
        return gate_asks.fill(text, slots[0] if slots else "", release)

    def _prometheus(self, gate: Gate, side: str) -> float | None:
        source = gate.source
        base, coordinator = self._plan.systems[self._system].prometheus, self._plan.coordinator(self._system).name
        url = gate_asks.instant(str(base), self._filled(source, str(source.promql), side), source.timeout)
        answer = self._asked(coordinator, [url], source, bodies=True)[0][1]
        if "body" not in answer:
            raise ReadingError(f"{base}: {answer.get('error', 'no answer in time')}")
        return of_prometheus(gate, str(answer["body"]))

    def _gateway(self, source: Source) -> dict[str, Any]:
        """One GET through the gateway, as a user's, from this machine."""
        import httpx  # late: most runs ask nothing

        from operations import watch

        config = watch.config(self._plan, self._system)
        assert config
        base = httpx.URL(config.base_url + str(source.http))
        context = ssl.create_default_context(cafile=config.ca) if base.scheme == "https" else True
        began = time.perf_counter()
        try:
            with httpx.Client(verify=context, trust_env=False, timeout=seconds(source.timeout)) as client:
                answer = client.get(
                    base.copy_with(host=str(config.address or base.host)),
                    headers={
                        **config.clients.get(watch.FIRST, {}),
                        "host": base.netloc.decode(),
                        "user-agent": "changeover-gate",
                    },
                    extensions={"sni_hostname": base.host},
                )
        except httpx.HTTPError as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {"ms": (time.perf_counter() - began) * 1000, "status": answer.status_code, "body": answer.text}


def _caught(ask: Ask) -> Ask:
    """The same, with a ReadingError given back: raised in a greenlet of a pool it would be printed as a trace."""

    def asked(host: str) -> Any:
        try:
            return ask(host)
        except ReadingError as error:
            return error

    return asked
