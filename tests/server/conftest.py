"""pytest tests/server --inventory INVENTORY [--limit HOST]: one test per host and thing, from the deploy's own data."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest

from .places import PLACES
from .under_test import FleetUnderTest, InventoryError

FLEET = pytest.StashKey[FleetUnderTest]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("changeover")
    group.addoption("--inventory", help="inventory file, as pyinfra takes it: inventories/staging.py")
    group.addoption("--limit", action="append", default=[], help="only hosts of this name, pattern or group")


def pytest_configure(config: pytest.Config) -> None:
    inventory = config.getoption("--inventory", None)
    if not inventory:
        raise pytest.UsageError("which hosts? run: pytest tests/server --inventory inventories/staging.py")
    try:
        fleet = config.stash[FLEET] = FleetUnderTest(inventory)
    except InventoryError as error:
        raise pytest.UsageError(str(error)) from None
    config.add_cleanup(fleet.close)
    hosts = fleet.plan.hosts.values()
    for limit in config.getoption("--limit"):
        if not any(_matches(limit, host.name, host.groups) for host in hosts):
            names = " ".join(host.name for host in hosts)
            raise pytest.UsageError(f"--limit {limit}: no such host or group in {inventory}; hosts are {names}")


def _matches(limit: str, name: str, groups: tuple[str, ...]) -> bool:
    return limit in groups or fnmatch(name, limit)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[FLEET].plan
    limits = metafunc.config.getoption("--limit")
    for argument in PLACES.keys() & set(metafunc.fixturenames):
        places, thing = PLACES[argument]
        found = [
            place
            for place in places(plan)
            if not limits or any(_matches(limit, place.machine, plan.hosts[place.machine].groups) for limit in limits)
        ]
        why = f"the inventory and its data have no {thing}, so there is nothing to look at"
        none = pytest.param(None, id="none", marks=pytest.mark.skip(reason=why))
        metafunc.parametrize(argument, found or [none], ids=str if found else None)


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest) -> FleetUnderTest:
    """The plan, and what the hosts say."""
    return request.config.stash[FLEET]


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    for note in dict.fromkeys(config.stash[FLEET].notes):
        terminalreporter.write_line(f"note  {note}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Nothing but skips is no proof of anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and not session.config.option.collectonly and not (reporter and reporter.stats.get("passed")):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
