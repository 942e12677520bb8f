"""What ends a rotation: idle slots stopped and given the new secrets, old logins locked; and nothing when it is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import good, on_all

from changeover import fleet
from changeover.live import Live, Releases, SlotState
from changeover.logins import lock_sql, login
from changeover.record import Check
from changeover.secrets import Secrets
from changeover.settings import Postgres
from changeover.stack import containers
from operations import flow, rotation
from operations.database import Login
from operations.recorder import place, shown

Run = Callable[..., Outcome]
SECRETS = Secrets(Path("/nonexistent"), {"SHOP_DB_PASSWORD": "new", "POSTGRES_PASSWORD": "p", "TOKEN": "t"})
ROLE = login("shop", "new")
READY = ["login ok", "superuser ok", "owner shop", "role postgres", "role readers", f"role {ROLE}"]


@pytest.fixture(autouse=True)
def nothing_noted() -> Iterator[None]:
    flow.CHECKS.clear()
    flow.FAILURES.clear()
    yield
    flow.CHECKS.clear()
    flow.FAILURES.clear()


def lock(run: Run, *state: str) -> Outcome:
    service = fleet.load(good()).systems["shop"].services["db"]
    assert isinstance(service, Postgres)
    arguments: dict[str, Any] = {"system": "shop", "container": "shop-db-1", "service": service}
    answers = {"docker exec -i shop-db-1 sh": list(state)}
    return run(rotation.only, answers, **arguments, login=Login("shop", service, SECRETS))


def test_old_logins_and_the_owners_own_are_locked_and_others_left_alone(run: Run) -> None:
    done = lock(run, *READY, "role shop", "role shop_0001", "role shop_readers")
    command = done.commands[0]
    assert command.text == "docker exec -i shop-db-1 psql -q -v ON_ERROR_STOP=1 -U postgres -d shop -f -"
    assert command.stdin == lock_sql("shop", ["shop", "shop_0001"])
    assert done.changed and [check.evidence for check in flow.CHECKS] == [f"{ROLE} logs in; locked: shop, shop_0001"]


def test_one_login_alone_is_left_alone_and_noted(run: Run) -> None:
    done = lock(run, *READY)
    assert not done.changed and done.commands == []
    assert [check.evidence for check in flow.CHECKS] == [f"{ROLE} logs in; there is no other"]


@pytest.mark.parametrize("missing", ["login ok", "superuser ok"])
def test_nothing_is_locked_while_the_new_password_does_not_work(run: Run, missing: str) -> None:
    done = lock(run, *[line for line in READY if line != missing], "role shop_0001")
    assert done.failed and done.commands == [] and flow.CHECKS == []
    assert flow.FAILURES["@fake/one"][0].endswith("nothing was locked, the old passwords work as before")


def drain(run: Run, **state: Any) -> Outcome:
    answers = {"state.json": [json.dumps({"schema": 1, **state})]} if state else {}
    return run(rotation.drained, answers, system="shop", words=["drain", "shop", "--txn", "t", "--by", "me"])


def test_a_warm_way_back_is_stopped_and_a_stopped_one_is_not(run: Run) -> None:
    warm = {"release": {"live": "1.0.0", "previous": "1.0.0"}, "retired": None}
    (command,) = drain(run, **warm).commands
    assert command.text == "/usr/local/bin/changeover drain shop --txn t --by me"
    assert not drain(run, **warm | {"retired": "2026-11-22T05:00:00Z"}).changed
    assert not drain(run, release={"live": "1.0.0", "previous": None}).changed
    assert not drain(run).changed, "a system that was never installed"


def test_the_idle_slots_are_those_that_the_run_leaves() -> None:
    plan = fleet.load(good())
    both = {name: SlotState(live="blue", blue="1.0.0", green="0.9.0") for name in ("api", "clock")}
    live = Live(release=Releases(live="1.0.0"), slots=both)
    for state, slot in ((live, "green"), (live.model_copy(update={"drifted": True}), "blue")):
        specs = containers(plan, "shop", "app1", state, SECRETS)
        assert {spec.slot for spec in rotation.idle(plan, "shop", state, specs)} == {slot}
    assert not rotation.idle(plan, "shop", Live(), containers(plan, "shop", "app1", Live(), SECRETS))


def test_a_stopped_container_with_old_variables_is_made_anew_and_only_once(run: Run) -> None:
    arguments = {"system": "shop", "directory": "/srv/shop", "wanted": {"api-blue": "new"}}
    done = run(rotation.remade, {"changeover.slot": ["api-blue old"]}, **arguments)
    assert "up --no-start --no-deps api-blue" in done.commands[0].text
    assert not run(rotation.remade, {"changeover.slot": ["api-blue new"]}, **arguments).changed


def test_steps_and_barriers_of_a_runbook_that_includes_the_deploy_keep_their_phases() -> None:
    assert place("deploy.py | phases/switch.py | release | it moves") == ("switch", "it moves")
    assert place("deploy.py | phases/switch.py | all is there") is None


def test_secrets_that_docker_inspect_shows_are_named_in_each_report() -> None:
    hosts = good()
    on_all("shop.services.api.secret_env", ["TOKEN"])(hosts)
    plan = fleet.load(hosts)
    assert ("shop", "TOKEN") in plan.secrets_wanted()
    assert shown(plan) == [
        Check(
            item="shop: secrets of api that docker inspect shows",
            source="shop.services.api.secret_env",
            verdict="skipped",
            evidence="TOKEN: variables, for an app that cannot read files",
        )
    ]
    assert shown(fleet.load(good())) == []
