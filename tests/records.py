"""Records as deploys leave them, for tests of the page: one of each way in which a run can end."""

import random
from datetime import UTC, datetime, timedelta

from changeover import series
from changeover.probe import Sample
from changeover.record import Check, Error, Gate, GateSample, Record, Release, Step, System, WayBack
from changeover.record_changes import Migration, Rebuilt, Setting
from changeover.record_probe import Moment

START = datetime(2026, 11, 21, 14, 3, 22, tzinfo=UTC)
HOSTS = {"edge1": 4, "app1": 9, "app2": 9, "data1": 12, "ops1": 0}
PHASES = {"preflight": 3, "provision": 40, "database": 62, "services": 30, "api": 71, "dashboard": 65}
DIGESTS = {"1.0.0": "2c034cc6a153abc5", "1.1.0": "e98fa760f6f83da3"}
SERVICES = ("api", "dashboard", "scheduler", "worker")
SWITCH, CONFIRM = 190.0, 262.0  # seconds into the run


def made(**fields) -> Record:
    """A record of the first installation of tasktracker, with some fields of the test's own."""
    base = dict(
        id="20261121T140322Z-1.0.0",
        systems=[released(None, "1.0.0")],
        environment="staging",
        actor="dana@laptop",
        started=START,
        ended=START + timedelta(seconds=271),
        outcome="ok",
        changes=HOSTS,
    )
    return Record(**{**base, **fields})


def released(before: str | None, after: str, name: str = "tasktracker") -> System:
    return System(name=name, release=Release(from_=before, to=after))


def walk(hosts, phases=PHASES, per_phase=4, broken=None) -> list[Step]:
    """Steps as a deploy makes them: phase by phase, all hosts at once; one broken (phase, host) ends it."""
    steps, clock = [], START
    for phase, length in phases.items():
        every = length / per_phase
        for number in range(per_phase):
            for index, host in enumerate(hosts):
                fails = (phase, host) == broken and number == per_phase - 1
                changed = host != "ops1" and (number + index) % 3 == 0
                steps.append(
                    Step(
                        name=f"{phase}: step {number + 1}",
                        phase=phase,
                        host=host,
                        start=clock,
                        end=clock + timedelta(seconds=every * (0.4 + 0.6 * ((index * 7) % 5) / 4)),
                        outcome="failed" if fails else "changed" if changed else "ok",
                        undone=broken is not None and changed and phase == broken[0] and not fails,
                        detail="<script>alert(1)</script>\nhealth: 503" if fails else "",
                    )
                )
            clock += timedelta(seconds=every)
        if broken and phase == broken[0]:
            break
    return steps


def failed() -> Record:
    return made(
        systems=[released("1.0.0", "1.1.0")],
        outcome="failed",
        ended=START + timedelta(seconds=208),
        steps=walk(HOSTS, broken=("api", "app2")),
        error=Error(
            where="app2, phase api: <script>alert('x')</script> & \"more\"",
            why="not ready after 60 s: GET /api/health/detailed gave 503\nnats: connection refused",
            next="ssh app2 'docker logs --tail 50 tasktracker-api-green'",
        ),
        way_back=WayBack(kind="code", command="changeover rollback tasktracker", loses="nothing"),
    )


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def images(version: str) -> dict[str, str]:
    return {name: f"registry.test:5000/tasktracker/{name}:{version}@sha256:{DIGESTS[version] * 4}" for name in SERVICES}


def move(kind, label: str, since: float, until: float) -> Moment:
    return Moment(system="tasktracker", kind=kind, label=label, at=later(since), until=later(until))


def samples(end: float, bad_from: float = 1e9, bad_until: float = 1e9) -> list[Sample]:
    """Ten requests a second from just before the switch; slower while it switches; of the bad time some fail."""
    dice = random.Random(7)
    found = []
    for number in range(int((end - SWITCH + 12) * 10)):
        at = SWITCH - 12 + number / 10
        new = SWITCH + 2 < at < bad_until
        ms = dice.lognormvariate(3.3, 0.5) * (3 if SWITCH < at < SWITCH + 4 else 1) * (0.8 if new else 1)
        error = "status 500 instead of 201" if bad_from < at < bad_until and dice.random() < 0.2 else None
        method, path = ("POST", "/api/v1/topics") if number % 3 == 0 else ("GET", "/api/health")
        slot = ("green" if new else "blue") if method == "GET" else None
        moment = later(at).isoformat(timespec="milliseconds")
        kind = ("h1", "h1 close", "h2", "h2 close")[number % 4]
        found.append(Sample(t=moment, kind=kind, method=method, path=path, ms=round(ms, 1), error=error, slot=slot))
    return found


def gate(name: str, values: list[float | None], limit: float, unit: str, baseline: float | None = None, why="") -> Gate:
    looks = [
        GateSample(
            t=later(SWITCH + 10 * number),
            value=value,
            baseline=baseline,
            verdict="no_data" if value is None else "pass" if value < limit else "fail",
        )
        for number, value in enumerate(values, 1)
    ]
    worst = next((look for look in looks if look.verdict == "fail"), looks[-1])
    fields = dict(system="tasktracker", name=name, op="<", unit=unit, limit=limit, samples=looks, at_most=55.0)
    return Gate(**fields, verdict=worst.verdict, value=worst.value, why=why or f"{len(looks)} looks of 10 s, all below")


def release(**fields) -> Record:
    """1.0.0 to 1.1.0, with all that a record can hold."""
    moments = [
        move("switch", "traffic to 1.1.0", SWITCH, SWITCH + 5.1),
        move("confirm", "1.1.0 is confirmed", CONFIRM, CONFIRM),
    ]
    changed = [
        Setting(where="api", key="environment.LOG_LEVEL", before="INFO", after="DEBUG"),
        Setting(where="api", key="values of its secrets", before="(not shown)", after="(another value, not shown)"),
        Setting(
            where="postgres on data1", key="command", before='["postgres"]', after='["postgres", "-c", "work_mem=64MB"]'
        ),
        Setting(where="the host command", key="lease", before="90", after="60"),
    ]
    base = dict(
        id="20261121T140322Z-1.1.0",
        txn="20261121T140322Z-4cda66",
        systems=[
            System(
                name="tasktracker",
                release=Release(from_="1.0.0", to="1.1.0"),
                images=images("1.1.0"),
                images_before=images("1.0.0"),
                migration=Migration(from_="0001", to="0002"),
                settings=changed,
            ),
            System(name="hello", release=Release(from_="1.26", to="1.26"), settings=[]),
        ],
        steps=walk(HOSTS),
        gates=[
            gate("api_p95", [41.0, 44.5, 39.0, 40.2, 43.1, 38.8], 200, "ms", baseline=42.0),
            gate("no_5xx", [0.0, 0.02, 0.0, 0.01, 0.0, 0.0], 1, "%"),
        ],
        checklist=[
            Check(
                item="tasktracker: integration tests of api green on app1",
                source="tasktracker.services.api.test",
                verdict="pass",
                evidence="31 passed in 5.08s (8.1 s); output: tests-tasktracker-api-app1.txt",
            ),
            Check(
                item="tasktracker: the audit chain holds",
                source="changeover audit tasktracker --verify",
                verdict="pass",
                evidence="the chain of 12 lines holds; head 36a166a2c3e2217b",
            ),
            Check(
                item="somebody has told support",
                source="docs/checklist.md",
                verdict="skipped",
                evidence="asked, nobody answered in 60 s",
            ),
        ],
        way_back=WayBack(
            kind="code",
            command="sudo changeover rollback tasktracker",
            loses="nothing",
            takes="about 1 s while the slot before is warm, then about 12 s",
            warm_until=later(CONFIRM + 1800),
        ),
        moments=moments,
        probe=series.probe("probe-tasktracker.jsonl", "tasktracker", samples(CONFIRM + 4), moments),
    )
    return made(**{**base, **fields})


def went_back() -> Record:
    """1.1.0 failed for POSTs half a minute after the switch; the gate saw it and sent it back."""
    bad, back = SWITCH + 28.0, SWITCH + 58.0
    moments = [
        move("switch", "traffic to 1.1.0", SWITCH, SWITCH + 5.1),
        move("back", "back to 1.0.0", back, back + 4.4),
    ]
    why = "5.1 % errors (limit 1 %) in 3 looks of 10 s; first at 14:07:00, all on green"
    return release(
        outcome="rolled_back",
        ended=later(back + 12),
        way_back=None,
        gates=[
            gate("no_5xx", [0.0, 0.02, 0.0, 4.1, 5.1, 6.3], 1, "%", why=why),
            gate("checkout_p95", [41.0, None, 43.0, 44.0, None, 41.0], 200, "ms", why="2 of 6 looks had no data"),
        ],
        moments=moments,
        probe=series.probe("probe-tasktracker.jsonl", "tasktracker", samples(back + 10, bad, back + 2), moments),
        error=Error(
            where="edge1: tasktracker: 1.1.0 is watched",
            why=f"gate no_5xx: {why}\napp2 green: ZeroDivisionError in app/proposals.py:88, 37 times",
            next="fix it and release another version; 1.1.0 is held: sudo changeover unhold tasktracker 1.1.0",
        ),
    )


def by_steps() -> Record:
    """1.1.0 came to 5 % and 25 % of the clients; then a gate saw it, and the 25 % went back to 5 %."""
    moments = [
        move("step", "5 % of the clients to 1.1.0", SWITCH, SWITCH + 1.4),
        move("step", "25 % of the clients to 1.1.0", SWITCH + 20, SWITCH + 21.2),
        move("step", "back to 5 % of the clients", SWITCH + 50, SWITCH + 50.8),
    ]
    return release(
        outcome="needs_person",
        ended=later(SWITCH + 55),
        way_back=None,
        moments=moments,
        probe=series.probe("probe-tasktracker.jsonl", "tasktracker", samples(SWITCH + 54, SWITCH + 40), moments),
        error=Error(
            where="edge1: tasktracker: step 25 %: 25 % of the clients are on 1.1.0, for 5m",
            why="gate no_5xx: 5.1 % errors (limit 1 %) in 3 looks of 10 s",
            next="mend it, then run again: pyinfra inventories/prod.py deploy.py -y --data release=1.1.0",
        ),
    )


def rebuilt() -> Record:
    """The control machine died in the soak; the lease went back."""
    steps = [
        Step(name="1.1.0 takes the idle slots", phase="stage", host="edge1", start=START, end=START, outcome="changed"),
        Step(
            name="traffic to 1.1.0",
            phase="switch",
            host="edge1",
            start=later(40),
            end=later(40),
            outcome="changed",
            undone=True,
        ),
        Step(name="back to 1.0.0", phase="rollback", host="edge1", start=later(130), end=later(130), outcome="changed"),
    ]
    return made(
        systems=[released("1.0.0", "1.1.0")],
        outcome="rolled_back",
        ended=later(130),
        changes={},
        steps=steps,
        moments=[move("switch", "traffic to 1.1.0", 40, 40), move("back", "back to 1.0.0", 130, 130)],
        error=Error(
            where="the control machine",
            why="switch T1 was not confirmed within 90 s",
            next="sudo changeover status tasktracker",
        ),
        rebuilt=Rebuilt(
            host="edge1",
            lines=12,
            head="36a166a2c3e2217b" * 4,
            unknown=["what each step printed", "what the prober saw"],
        ),
    )


def fifty() -> Record:
    """50 hosts of 60 steps each, no two with the same words, watched for an hour by ten gates."""
    hosts = [f"app{number:02}" for number in range(1, 51)]
    told = [{"detail": f"{host}: image pulled, container recreated"} for host in hosts] * 60
    steps = [step.model_copy(update=one) for step, one in zip(walk(hosts, per_phase=10), told, strict=True)]
    moments = [
        move("switch", "traffic to 1.1.0", SWITCH, SWITCH + 9),
        move("confirm", "1.1.0 is confirmed", 3800, 3800),
    ]
    return release(
        ended=later(3810),
        steps=steps,
        changes=dict.fromkeys(hosts, 20),
        gates=[gate(f"gate_{number}", [float(one % 7) for one in range(360)], 100, "ms", 3.0) for number in range(10)],
        moments=moments,
        probe=series.probe("probe-tasktracker.jsonl", "tasktracker", samples(3805), moments),
    )
