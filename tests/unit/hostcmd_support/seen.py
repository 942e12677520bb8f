"""What the tests of recreate and rolling share: what is served, what runs, where the page is, and later."""

import json

from hostcmd import clock, peer
from tests.unit.hostcmd_support.world import GATEWAYS

BLUE = {"api": "blue", "dashboard": "blue"}
GREEN = {"api": "green", "dashboard": "green"}
OLD = {"app1": ["api-blue", "scheduler-blue", "worker-blue"], "app2": ["api-blue", "worker-blue"]}
NEW = {"app1": ["api-green", "scheduler-green", "worker-green"], "app2": ["api-green", "worker-green"]}
SWITCH = "switch tasktracker --lease 90 --txn T1"


def all_serve(world, wanted):
    assert [world.serving(gateway) for gateway in GATEWAYS] == [wanted, wanted]


def runs(world, wanted):
    assert {host: world.running(host) for host in wanted} == wanted


def pages(world):
    """Why each gateway shows the maintenance page; None where it serves."""
    files = [world.root(gateway) / "srv/gateway/slots/tasktracker/maintenance" for gateway in GATEWAYS]
    return [json.loads(file.read_text())["why"] if file.exists() else None for file in files]


def later(monkeypatch, seconds=91):
    now = clock.boottime() + seconds
    monkeypatch.setattr(clock, "boottime", lambda: now)


def watch_requests(monkeypatch, look):
    """Calls look(verb, host) in front of each request that a host carries out."""
    real = {verb: call for verb, call in peer.VERBS.items()}
    for verb, call in real.items():
        def seen(site, request, verb=verb, call=call):
            look(verb, site.me)
            return call(site, request)

        monkeypatch.setitem(peer.VERBS, verb, seen)
