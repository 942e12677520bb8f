"""A system on hosts that are folders: two gateways, two app hosts; what each of them says afterwards."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hostcmd import cli, containers, gateway, peer, peers, run, site
from hostcmd.run import Result
from tests.unit.hostcmd_support import fakes

SYSTEM = "tasktracker"
HOSTS = ("edge1", "edge2", "app1", "app2")
GATEWAYS = ("edge1", "edge2")
SERVICES = {
    "api": ("app1", "app2"),
    "worker": ("app1", "app2"),
    "scheduler": ("app1",),
    "dashboard": GATEWAYS,
}
TRAFFIC = ("api", "dashboard")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory where the machine has one: the command syncs thousands of files in these tests."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="changeover-test-", dir=memory) as name:
        yield Path(name)


def settings(me: str, strategy: str) -> dict:
    """/etc/changeover/tasktracker.json of a host. The address of a host is its folder's name."""
    times = {"stop_grace": 1, "start_timeout": 1, "drain": 0}
    services = {
        name: {"hosts": hosts, "traffic": name in TRAFFIC, "singleton": name == "scheduler", **times}
        for name, hosts in SERVICES.items()
    }
    return {
        "schema": 1,
        "system": SYSTEM,
        "me": me,
        "environment": "staging",
        "coordinator": "edge1",
        "gateways": GATEWAYS,
        "hosts": {name: {"address": name, "port": 22} for name in HOSTS},
        "run_dir": f"/srv/{SYSTEM}",
        "slots_dir": f"/srv/gateway/slots/{SYSTEM}",
        "lease": 90,
        "keep_warm": 1800,
        "keep_releases": 5,
        "strategy": strategy,
        "order": ("app1", "app2", "edge1", "edge2"),
        "steps": (0, 5, 25, 50),
        "migration": {"host": "app1", "container": "srv-tasktracker-migrate"},
        "services": services,
    }


class World:
    """The folders. Use `words` to type a command on a host, the rest to see what came of it."""

    def __init__(self, base: Path, strategy: str = "blue_green") -> None:
        self.base = base
        for name in HOSTS:
            folder = base / name / "etc/changeover"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{SYSTEM}.json").write_text(json.dumps(settings(name, strategy)))

    def root(self, host: str) -> Path:
        return self.base / host

    def site(self, host: str = "edge1") -> site.Site:
        return site.load(str(self.root(host)), SYSTEM)

    def type(self, line: str, host: str = "edge1") -> tuple[int, dict]:
        """Types `changeover LINE --json`; the exit code and what it says."""
        code, out, err = cli.captured(str(self.root(host)), [*line.split(), "--json"], "tester")
        assert out, f"{line}: nothing said; {err}"
        return code, json.loads(out)

    def ok(self, line: str, host: str = "edge1") -> dict:
        code, said = self.type(line, host)
        assert code == 0, said
        return said

    def deploy_containers(self, release: str, slot: str, starts: bool = True) -> None:
        """What a deploy does after `stage`: compose files for a slot; with `starts` its services with traffic run."""
        for service, hosts in SERVICES.items():
            for host in hosts:
                found = fakes.engine(self.root(host))
                found["compose"][f"{service}-{slot}"] = release
                fakes.save(self.root(host), found)
                if service not in TRAFFIC and f"{SYSTEM}-{service}-{slot}-1" in found["containers"]:
                    made = {"state": "created", "health": "none", "release": release}
                    found["containers"][f"{SYSTEM}-{service}-{slot}-1"] = made
                    fakes.save(self.root(host), found)
                if service in TRAFFIC and starts:
                    assert fakes.docker(self.root(host), ["compose", "up", f"{service}-{slot}"])[0] == 0

    def install(self, release: str = "1.0.0") -> None:
        self.ok(f"stage {SYSTEM} --release {release}")
        self.deploy_containers(release, "blue")
        self.ok(f"switch {SYSTEM} --txn first --lease 90")

    def stage(self, release: str, slot: str) -> None:
        self.ok(f"stage {SYSTEM} --release {release}")
        self.deploy_containers(release, slot)

    def running(self, host: str) -> list[str]:
        found = fakes.engine(self.root(host))["containers"]
        up = [name for name, one in found.items() if one["state"] == "running"]
        return sorted(name[len(SYSTEM) + 1 : -2] for name in up if name.startswith(f"{SYSTEM}-"))

    def serving(self, host: str) -> dict[str, str] | None:
        """What the gateway's symlink says: {service: slot}."""
        here = self.site(host)
        return gateway.marks(here, gateway.current(here))

    def state(self, host: str = "edge1") -> dict:
        return peer.copy_of_state(self.site(host))

    def timers(self, host: str = "edge1") -> list[str]:
        path = self.root(host) / "timers"
        return path.read_text().splitlines() if path.exists() else []

    def away(self, host: str, is_away: bool = True) -> None:
        mark = self.root(host) / "away"
        mark.touch() if is_away else mark.unlink(missing_ok=True)

    def engine(self, host: str, **changes: object) -> None:
        found = fakes.engine(self.root(host))
        fakes.save(self.root(host), found | changes)

    def reboot(self, host: str = "edge1", name: str = "another-boot") -> None:
        path = self.root(host) / "proc/sys/kernel/random/boot_id"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")


def in_process(words: list[str], *, root: str, timeout: float, feed: str = "") -> Result:
    """Stands in for hostcmd.run.run: other hosts and programs without other processes."""
    here = Path(root)
    if words[0] == "ssh":
        target = fakes.host_at(here, words[-2])
        if not target:
            return Result(255, "", f"ssh: connect to host {words[-2]}: No route to host")
        return Result(0, json.dumps(peer.answer(str(target), json.loads(feed))), "")
    if words[0] == "docker":
        return Result(*fakes.docker(here, words[1:]))
    return Result(*fakes.timer(here, words[0], words[1:]))


def stand_in(monkeypatch) -> None:  # noqa: ANN001
    """Lets the command under test meet the fakes, one host after the other, so that a run is always the same."""
    monkeypatch.setattr(run, "run", in_process)
    monkeypatch.setattr(peers, "AT_ONCE", 1)
    monkeypatch.setattr(containers, "AT_ONCE", 1)
    monkeypatch.setattr(os, "umask", lambda mask: mask)
