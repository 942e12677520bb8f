"""Which settings a release changes, as its report says them: of the containers, and never a secret's value."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plans import good, on_all

from changeover import differences, fleet, hostconfig
from changeover.live import Live, Releases, SlotState
from changeover.secrets import Secrets
from changeover.stack import containers
from facts.before import PARTS, Told, ToldBefore
from operations import before, images, run
from operations.stack import stack_files

SECRETS = {"SHOP_DB_PASSWORD": "canary one", "POSTGRES_PASSWORD": "canary two"}
BLUE = {"api": SlotState(live="blue", blue="1.0.0"), "clock": SlotState(live="blue", blue="1.0.0")}
LIVE = Live(release=Releases(live="1.0.0"), slots=BLUE)


def plan_of(*changes: Callable[[Any], None], release: str | None = None) -> fleet.Plan:
    hosts = copy.deepcopy(good())
    for change in changes:
        change(hosts)
    if release:
        on_all("release", release)(hosts)
    return fleet.load(hosts)


def service(name: str, **values: Any) -> Callable[[Any], None]:
    def change(hosts: Any) -> None:
        for _, _, data in hosts:
            if "shop" in data:
                data["shop"]["services"][name].update(values)

    return change


def secrets(**values: str) -> Secrets:
    return Secrets(Path("/nonexistent"), {**SECRETS, **values})


def lies(plan: fleet.Plan, host: str, live: Live, source: Secrets) -> str:
    """The compose.yaml that a deploy writes."""
    specs = containers(plan, "shop", host, live, source)
    return stack_files(plan, "shop", specs)[0][0].content


def compared(old: fleet.Plan, new: fleet.Plan, source: Secrets | None = None) -> list[tuple[str, str, str, str]]:
    was, now = {}, {}
    for host in ("app1", "app2", "data1"):
        text = lies(old, host, LIVE, secrets())
        was[host] = differences.before(text, {"api": "blue", "clock": "blue"})[0]
        now[host] = differences.after(containers(new, "shop", host, LIVE, source or secrets()))
    return [(one.where, one.key, one.before, one.after) for one in differences.differences(was, now)]


def test_another_release_with_the_same_settings_changes_none():
    assert compared(plan_of(), plan_of(release="1.1.0")) == []
    assert compared(plan_of(), plan_of()) == []


def test_what_differs_is_told_with_both_values_and_its_service():
    new = plan_of(
        service("api", memory="1G", env={"QUEUE": "nats://{address.queue}", "LEVEL": "$debug"}), release="1.1.0"
    )
    found = compared(plan_of(), new)
    assert ("api", "environment.LEVEL", "", "$debug") in found
    assert [key for _, key, _, _ in found if key == "mem_limit"] == ["mem_limit"]
    assert {where for where, *_ in found} == {"api"}
    assert compared(new, plan_of()) == [(where, key, right, left) for where, key, left, right in found]


def test_a_service_without_slots_is_compared_with_itself():
    assert ("db", "image") == compared(plan_of(), plan_of(service("db", image="{mirror}/library/postgres:17.1")))[0][:2]


def test_before_is_the_live_slot_and_not_the_way_back() -> None:
    two = {name: SlotState(live="green", blue="0.9.0", green="1.0.0") for name in ("api", "clock")}
    text = lies(plan_of(), "app1", Live(release=Releases(live="1.0.0", previous="0.9.0"), slots=two), secrets())
    green, _, blue = text.partition("  api-blue:")
    text = f"{green}  api-blue:{blue.replace('cpus: 1.0', 'cpus: 7.5', 1)}"
    assert "api-green:" in text and "cpus: 7.5" in text
    live, digests = differences.before(text, {"api": "green", "clock": "green"})
    assert live["api"]["cpus"] == "1.0" and set(digests) == {"api-green", "clock-green"}
    assert differences.before(text, {"api": "blue"})[0]["api"]["cpus"] == "7.5"


def test_hosts_of_their_own_are_named():
    old = {host: {"api": {"cpus": "1"}} for host in ("app1", "app2")}
    new = {"app1": {"api": {"cpus": "1"}}, "app2": {"api": {"cpus": "2"}}, "app3": {"api": {"cpus": "2"}}}
    (one,) = differences.differences(old, new)
    assert (one.where, one.key, one.before, one.after) == ("api on app2", "cpus", "1", "2")


def test_a_service_that_comes_or_goes():
    old, new = {"app1": {"api": {"cpus": "1"}}}, {"app1": {"web": {"cpus": "1"}}}
    assert [(one.where, one.before, one.after) for one in differences.differences(old, new)] == [
        ("api", "here", ""),
        ("web", "", "here"),
    ]


def test_a_secret_with_another_value_is_told_and_its_values_are_not():
    found = compared(plan_of(), plan_of(release="1.1.0"), secrets(SHOP_DB_PASSWORD="canary three"))
    assert ("api", differences.SECRETS, "(not shown)", "(another value, not shown)") in found
    assert "canary" not in str(found)
    digests = differences.before(lies(plan_of(), "app1", LIVE, secrets()), {"api": "blue"})[0]["api"]
    assert digests[differences.SECRETS] not in str(found)


@pytest.mark.parametrize(
    "key, left, right, shown",
    [
        ("environment.API_TOKEN", "abc", "def", ("(not shown)", "(another value, not shown)")),
        ("environment.SMTP_PASSWORD", "", "def", ("", "(another value, not shown)")),
        ("environment.URL", "amqp://u:pw@a/x", "amqp://u:pw2@a/x", ("amqp://...@a/x", "amqp://...@a/x")),
        ("cpus", "1", "2", ("1", "2")),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(key, left, right, shown):
    (one,) = differences.differences({"a": {"api": {key: left}}}, {"a": {"api": {key: right}}})
    assert (one.before, one.after) == shown


def test_settings_of_the_host_command_too():
    old, new = plan_of(), plan_of(on_all("shop", {**good()[0][2]["shop"], "release": {"lease": "60s"}}))
    texts = [hostconfig.config(plan, "shop", "edge1") for plan in (old, new)]
    (one,) = differences.command(*texts)
    assert (one.where, one.key, one.before, one.after) == (differences.COMMAND, "lease", "90", "60")
    assert differences.command("", texts[0]) == differences.command("torn {", texts[0]) == []


def test_a_file_that_is_none_is_said_to_be_none():
    assert differences.before("", {}) == ({}, {})
    with pytest.raises(ValueError, match="compose.yaml cannot be read"):
        differences.before("services: [", {})
    with pytest.raises(ValueError, match="compose.yaml cannot be read"):
        differences.before("services: 7", {})


@pytest.fixture
def at_the_end(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What a run that goes from 1.0.0 to 1.1.0, with one more setting, says of its settings when it ends."""

    def said(running: str | None = None) -> Any:
        old, new = plan_of(), plan_of(service("api", cpus=2.5), release="1.1.0")
        monkeypatch.setattr(run, "_plan", new)
        monkeypatch.setattr(run, "_secrets", secrets())
        monkeypatch.setattr(run, "_mask", lambda text: text.replace("2.5", "***"))
        monkeypatch.setattr(images, "RECORDED", {})
        told = {}
        for host in ("app1", "app2"):
            text = lies(old, host, LIVE, secrets())
            label = differences.before(text, {"api": "blue"})[1]["api-blue"]
            config = hostconfig.config(old, "shop", host)
            told["shop", host] = Told(text, config, {"api-blue": running or label})
        monkeypatch.setattr(before, "TOLD", told)
        return before.settings(new, "shop", LIVE)

    return said


def test_a_run_says_what_its_settings_changed_and_masks_it(at_the_end):
    (one,), unknown = at_the_end()
    assert (one.where, one.key, one.after, unknown) == ("api", "cpus", "***", "")


def test_settings_that_never_went_live_make_the_list_doubtful(at_the_end):
    changed, unknown = at_the_end(running="another")
    assert len(changed) == 1
    assert unknown.startswith("api-blue on app1, api-blue on app2: an earlier run wrote settings that never went live")


def test_a_first_installation_and_a_single_phase_compare_nothing(at_the_end, monkeypatch):
    at_the_end()
    assert before.settings(run.plan(), "shop", Live()) == (None, "")
    monkeypatch.setattr(before, "TOLD", {})
    assert before.settings(run.plan(), "shop", LIVE) == (None, "")


def test_the_fact_takes_the_answer_apart_again():
    answer = ["services:", "  api: {}", "", PARTS, json.dumps({"a": 1}), PARTS, "api-blue abc123"]
    assert ToldBefore().process(answer) == Told("services:\n  api: {}", '{"a": 1}', {"api-blue": "abc123"})
    assert ToldBefore().process(["", PARTS, "", PARTS]) == Told("", "", {})
    command = ToldBefore().command(system="shop", directory="/srv/shop")
    assert "cat /srv/shop/compose.yaml 2>/dev/null; " in command and command.endswith("|| true")
