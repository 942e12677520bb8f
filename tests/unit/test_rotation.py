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
from changeover.stack import containers, drifted
from operations import flow, rotation, serving
from operations.database import Login
from operations.recorder import place, shown
from operations.serving import Served

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


WANTED = Served("shop", "@fake/two", {"api": "green"}, 4, True, {"@fake/two": {"api": "new"}})
STATUS = {"generation": 5, "slots": {"api": {"live": "green"}}, "lease": None, "busy": None}
RUNS = ["shop-api-green-1 api new", "shop-db-1 db other", "shop-page-1  "]


def lock(run: Run, *state: str, runs: Any = RUNS, **status: Any) -> Outcome:
    service = fleet.load(good()).systems["shop"].services["db"]
    assert isinstance(service, Postgres)
    arguments: dict[str, Any] = {"system": "shop", "container": "shop-db-1", "service": service, "wanted": WANTED}
    answers = {"docker exec -i shop-db-1 sh": list(state)}
    beside = {"status shop": [json.dumps(STATUS | status)], "docker ps": runs}
    return run(rotation.only, answers, beside, **arguments, login=Login("shop", service, SECRETS))


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"slots": {"api": {"live": "blue"}}}, "api serves from blue, and this run confirmed green"),
        ({"slots": {}}, "api serves from no slot, and this run confirmed green"),
        ({"generation": 4}, "generation 4 is live, and this run began with 4"),
        ({"lease": {"txn": "20261122-ff"}}, "a switch is not confirmed yet (20261122-ff)"),
        ({"busy": {"verb": "rollback", "by": "ann"}}, "rollback by ann is at work"),
        ({"runs": [*RUNS, "shop-api-blue-1 api old"]}, "shop-api-blue-1 on @fake/two runs with other secrets"),
        ({"runs": [*RUNS, "shop-api-blue-1 api "]}, "shop-api-blue-1 on @fake/two runs with other secrets"),
        ({"runs": {"success": False, "stderr": "no engine"}}, "@fake/two does not say what runs there: no engine"),
    ],
)
def test_nothing_is_locked_that_something_may_still_log_in_as(
    run: Run, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], why: str
) -> None:
    """As when somebody types `changeover rollback` between the stopping of the idle slots and this."""
    monkeypatch.setattr(serving, "NAP", 0.0)
    done = lock(run, *READY, "role shop_0001", "ours shop_0001", **changes)
    assert done.failed and flow.CHECKS == []
    assert not [command for command in done.commands if "psql -q" in command.text]
    assert flow.FAILURES["@fake/one"] == [
        f"shop: nothing was locked, the old passwords work as before: {why}",
        "next   on @fake/two: sudo changeover status shop; when that is as you want it: "
        "pyinfra INVENTORY runbooks/rotate_secrets.py -y",
    ]


def test_a_coordinator_that_says_nothing_locks_nothing(run: Run) -> None:
    done = run(serving.unchanged, {}, {"status shop": {"success": False, "stderr": "gone"}}, wanted=WANTED)
    assert done.failed and "@fake/two does not say what is live: gone" in flow.FAILURES["@fake/one"][0]


def test_what_was_gone_back_to_is_not_made_anew(run: Run) -> None:
    same = {"status shop": [json.dumps(STATUS)], "docker ps": RUNS}
    assert not run(serving.unchanged, {}, same, wanted=WANTED).failed
    back = {**same, "status shop": [json.dumps(STATUS | {"slots": {"api": {"live": "blue"}}})]}
    assert run(serving.unchanged, {}, back, wanted=WANTED).failed


def test_what_must_serve_follows_from_what_was_live() -> None:
    plan = fleet.load(good())
    both = {name: SlotState(live="blue", blue="1.0.0", green="0.9.0") for name in ("api", "clock")}
    live = Live(generation=7, release=Releases(live="1.0.0"), slots=both)
    same = serving.served(plan, "shop", live, SECRETS)
    moved = serving.served(plan, "shop", live.model_copy(update={"drifted": True}), SECRETS)
    assert (dict(same.slots), same.moved) == ({"api": "blue", "clock": "blue"}, False)
    assert (dict(moved.slots), moved.moved) == ({"api": "green", "clock": "green"}, True)
    assert serving.served(plan, "shop", Live()).slots == {"api": "blue", "clock": "blue"}
    label = containers(plan, "shop", "app1", live, SECRETS)[0].body["labels"]["changeover.secrets"]
    assert {name: dict(one) for name, one in same.secrets.items() if one} == {
        "app1": {"api": label},
        "app2": {"api": label},
    }, "the database's own container logs in to nothing"
    assert (same.coordinator, same.generation) == ("edge1", 7) and label not in repr(same)
    assert serving.elsewhere(same, {"generation": 8, "slots": {n: {"live": "blue"} for n in both}}) == [
        "generation 8 is live, and this run began with 7"
    ]


def test_old_logins_and_the_owners_own_are_locked_and_others_left_alone(run: Run) -> None:
    roles = [f"role {role}" for role in ("shop", "shop_0001", "shop_readers", "shop_2024", "shop_beef")]
    done = lock(run, *READY, *roles, "ours shop_0001")
    command = done.commands[-1]
    assert command.text == "docker exec -i shop-db-1 psql -q -v ON_ERROR_STOP=1 -U postgres -d shop -f -"
    assert command.stdin == lock_sql("shop", ["shop", "shop_0001"])
    assert done.changed and [check.evidence for check in flow.CHECKS] == [f"{ROLE} logs in; locked: shop, shop_0001"]


def test_one_login_alone_is_left_alone_and_noted(run: Run) -> None:
    done = lock(run, *READY)
    assert not done.changed and done.commands == []
    assert [check.evidence for check in flow.CHECKS] == [f"{ROLE} logs in; there is no other"]


@pytest.mark.parametrize("missing", ["login ok", "superuser ok"])
def test_nothing_is_locked_while_the_new_password_does_not_work(run: Run, missing: str) -> None:
    done = lock(run, *[line for line in READY if line != missing], "role shop_0001", "ours shop_0001")
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


def test_a_stopped_container_with_old_secrets_is_made_anew_and_only_once(run: Run) -> None:
    arguments = {"system": "shop", "directory": "/srv/shop", "wanted": {"api-blue": "new"}}
    done = run(rotation.remade, {"changeover.slot": ["api-blue old"]}, **arguments)
    assert "up --no-start --no-deps api-blue" in done.commands[0].text
    assert not run(rotation.remade, {"changeover.slot": ["api-blue new"]}, **arguments).changed


def test_after_a_rotation_and_a_way_back_nothing_has_other_settings() -> None:
    """Else the next plain deploy would switch for nothing."""
    plan = fleet.load(good())
    both = {name: SlotState(live="blue", blue="1.0.0", green="1.0.0") for name in ("api", "clock")}
    live = Live(release=Releases(live="1.0.0"), slots=both)
    idle = rotation.idle(plan, "shop", live, containers(plan, "shop", "app1", live, SECRETS))
    made = rotation.configs(idle)
    assert set(made) == {"api-green", "clock-green"} and not any(spec.variables for spec in idle)
    gone_back = live.model_copy(update={"slots": {name: SlotState(live="green", green="1.0.0") for name in both}})
    assert drifted(containers(plan, "shop", "app1", gone_back, SECRETS), made) == []


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
