"""Many hosts: whether the control machine's seconds for each host grow with their number. No host is needed.

The sample systems' own settings on 10, 50 and 100 hosts: two gateways, one database, the rest applications. In this
process: settings loaded and checked; all files decided. As a user does it: `pyinfra --dry` on pyinfra's @fake hosts,
which answer at once. Seconds are the processor's, so that a busy machine does not count.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.run import run
from changeover import fitness, fleet, gateway, hostconfig, look, stack
from changeover.live import Live
from changeover.secrets import Secrets

SIZES = (10, 50, 100)
ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("tasktracker", "hello")
OVERRIDES = {
    "fleet.environment": "staging",
    "fleet.registry": "registry.test:5000",
    "fleet.mirror": "registry.test:5000",
    "fleet.memory_overcommit": 4.0,
}
ENTRY = ["changeover-access", "os debian", "version 13", "uid 0", "path /usr/bin", "sudo yes", "python 3.13"]


ANSWERS = {"changeover-access": ENTRY, "uname -s": ["Linux"], "command -v useradd": ["/usr/sbin/useradd"]}


def places(count: int) -> dict[str, list[str]]:
    """{host: its groups} of a fleet of this size."""
    edges = 2
    groups = {f"edge{n}": ["edge", *SYSTEMS] for n in range(1, edges + 1)}
    groups |= {f"app{n}": ["app", *SYSTEMS] for n in range(1, count - edges)}
    return {**groups, "data1": ["data", SYSTEMS[0]]}


def address(number: int) -> str:
    """A private address for each host."""
    return f"10.0.{number // 200}.{number % 200 + 1}"


def seen(name: str, number: int) -> dict[str, Any]:
    """What such a host tells preflight."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        **{"uid": 0, "path": path, "hostname": name, "memory": 16000, "available": 15000, "cpus": 8},
        **{"disks": {"/var/lib/docker": 90000}, "addresses": [address(number)]},
        **dict.fromkeys(("began", "ended"), time.time()),
    }


def data(count: int) -> fleet.Hosts:
    """All hosts' merged data, as pyinfra would hand it over."""
    settings = {name: runpy.run_path(str(ROOT / f"group_data/{name}.py"))[name] for name in SYSTEMS}
    shared = runpy.run_path(str(ROOT / "group_data/all.py"))["fleet"]
    return [
        (
            name,
            [*groups, "scale"],
            {
                **{"address": address(number), "fleet": shared, "overrides": OVERRIDES},
                **{system: settings[system] for system in SYSTEMS if system in groups},
            },
        )
        for number, (name, groups) in enumerate(places(count).items())
    ]


class AnySecret(Secrets):
    """A value for every name."""

    def get(self, system: str, name: str) -> str:
        return "x"


def decided(plan: fleet.Plan) -> None:
    """Everything that a first deploy decides for each host, without a host."""
    secrets, states = AnySecret(Path("/nonexistent"), {}), {system: Live() for system in plan.systems}
    for number, name in enumerate(plan.hosts):
        look.question(plan, name, states, "daemon.json")
        fitness.findings(plan, name, look.Look(**seen(name, number)), states)
        for system in plan.systems_on(name):
            stack.containers(plan, system, name, Live(), secrets)
            hostconfig.config(plan, system, name)
        if plan.fleet.gateway.on in plan.hosts[name].groups:
            gateway.files(plan, name, secrets=secrets)


def inventory(count: int) -> str:
    """An inventory file of such hosts that are not there."""
    groups: dict[str, list[Any]] = {}
    for number, (name, members) in enumerate(places(count).items()):
        answers = {**ANSWERS, "python3 -c": [json.dumps(seen(name, number))]}
        own = {"address": address(number), "fake_delay": 0, "fake_delay_jitter": 0, "fake_responses": answers}
        for group in members:
            groups.setdefault(group, []).append((f"@fake/{name}", own))
    return "".join(f"{group} = {members!r}\n" for group, members in groups.items())


@contextmanager
def repository(count: int) -> Iterator[Path]:
    """A folder with this repository's code, the sample's settings, and that inventory."""
    with tempfile.TemporaryDirectory(prefix="changeover-scale-") as folder:
        root = Path(folder)
        for path in ROOT.iterdir():
            if path.name not in ("inventories", "group_data", "reports", ".git") and not path.name.startswith("."):
                (root / path.name).symlink_to(path)
        for name in ("inventories", "group_data"):
            (root / name).mkdir()
        for name in ("all", *SYSTEMS):
            (root / f"group_data/{name}.py").symlink_to(ROOT / f"group_data/{name}.py")
        (root / "group_data/scale.py").write_text(f"overrides = {OVERRIDES!r}\n")
        (root / "inventories/scale.py").write_text(inventory(count))
        yield root


def once(count: int) -> dict[str, float]:
    """The processor's seconds for one fleet, by what was done."""
    hosts = data(count)
    began = time.process_time()
    plan = fleet.load(hosts)
    loaded = time.process_time()
    decided(plan)
    done = time.process_time()
    with repository(count) as root:
        env = {**os.environ, **{name: "x" for _, name in plan.secrets_wanted()}}
        words = [str(Path(sys.executable).with_name("pyinfra")), "inventories/scale.py", "deploy.py", "--dry"]
        before = children()
        run([*words, "--chdir", str(root)], env=env, limit=900)
        dry = children() - before
    return {"load": loaded - began, "decide": done - loaded, "dry": dry}


def children() -> float:
    """Seconds that ended child processes had of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(runs: int = 1, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """{"seconds": {size: {what: the least of the runs}}}."""
    once(min(sizes))  # the first one pays for imports and caches
    return {"seconds": {str(size): least([once(size) for _ in range(runs)]) for size in sizes}}


def least(times: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each part the least of some runs."""
    return {what: round(min(one[what] for one in times), 3) for what in times[0]}
