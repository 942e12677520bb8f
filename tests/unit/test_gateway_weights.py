"""The gateway's file with weighted steps: nested parts, sticky clients, chosen users; nothing of it without steps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plans import Hosts, good, on_all, without
from test_gateway import files, server_block, staging  # noqa: F401  (staging is a fixture)

from changeover import early, fleet, gateway
from changeover.files import File
from changeover.hostconfig import config
from changeover.secrets import Secrets
from hostcmd import site, state

STEPS: list[Any] = [{"who": {"teams": ["internal"], "users": ["dana"]}}, 5, 25, "50"]
SECRETS = Secrets(Path("/nonexistent"), {"EARLY_SECRET": "a secret of the tests"})


def weighed(hosts: Hosts, system: str = "tasktracker", steps: list[Any] = STEPS, **changes: Any) -> dict[str, File]:
    """{path: file} of a gateway whose system has steps."""
    more = {f"{system}.release.steps": steps, f"{system}.release.early_secret": "EARLY_SECRET", **changes}
    for _, _, data in hosts:
        data["overrides"] = data.get("overrides", {}) | more
    plan = fleet.load(hosts)
    return {f.path.removeprefix("/srv/gateway/conf/"): f for f in gateway.files(plan, "edge1", secrets=SECRETS)}


def text_of(file: File) -> str:
    assert isinstance(file.content, str)
    return file.content


def test_a_server_file_with_steps(staging: Hosts, golden: Callable[[str, str], None]) -> None:  # noqa: F811
    made = weighed(staging)
    golden("edge1.gateway.server.steps.conf", text_of(made["servers/tasktracker.conf"]))
    hello = text_of(made["servers/hello.conf"])
    assert "split_clients" not in hello and "Set-Cookie" not in hello, "a system without steps sets no cookie"


def test_every_part_has_one_step_and_the_steps_are_nested(staging: Hosts) -> None:  # noqa: F811
    text = text_of(weighed(staging)["servers/tasktracker.conf"])
    drawn = re.search(r"split_clients [^{]*\{(.*?)\}", text, re.DOTALL)
    assert drawn and re.findall(r"(\S+) (\d+);", drawn[1]) == [("1%", str(n)) for n in range(99)] + [("*", "99")]
    found = re.search(r"map \$changeover_tasktracker_part [^{]*\{(.*?)\}", text, re.DOTALL)
    assert found
    pairs = {int(part): int(step) for part, step in re.findall(r"(\d+) (\d+);", found[1])}
    assert pairs == {part: 5 if part < 5 else 25 if part < 25 else 50 for part in range(50)}
    assert "default 100;" in found[1]


def test_what_is_marked_at_a_step_is_what_the_gateway_asks_for(staging: Hosts) -> None:  # noqa: F811
    """The host command writes the marks, this file looks for them: by the client's step, and by who was chosen."""
    text = text_of(weighed(staging)["servers/tasktracker.conf"])
    here = site.parse("/", json.loads(config(fleet.load(staging), "tasktracker", "edge1")))
    assert here.steps == (0, 5, 25, 50)
    slots = {name: {"live": "blue", "blue": "1", "green": "2"} for name in here.services}
    for percent in here.steps:
        weight = {"percent": percent, "steps": [step for step in here.steps if step <= percent]}
        now = {**state.EMPTY, "slots": slots, "staged": list(slots), "weight": weight}
        for service, marks in state.marks(now, here.services).items():
            base, *steps = marks.split("+")
            assert f"live/{service}.{base})" in text
            assert {mark.rpartition("_")[0] for mark in steps} == {"green"}
            for who in ("step", "chosen"):
                assert f"live/{service}.green_$changeover_tasktracker_{who})" in text
            assert sorted(int(mark.rpartition("_")[2]) for mark in steps) == weight["steps"]


def test_who_is_on_a_step_is_looked_at_after_the_slot_that_all_have(staging: Hosts) -> None:  # noqa: F811
    text = server_block(text_of(weighed(staging)["servers/tasktracker.conf"]))
    for service in ("api", "dashboard"):
        base = max(text.index(f"live/{service}.{slot})") for slot in ("blue", "green"))
        assert base < text.index(f"live/{service}.blue_$") < text.index(f"live/{service}.green_$")


def test_the_sticky_cookie_is_not_for_scripts_nor_for_plain_http(staging: Hosts) -> None:  # noqa: F811
    text = text_of(weighed(staging)["servers/tasktracker.conf"])
    kept = "changeover_step_tasktracker=$changeover_tasktracker_drawn; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"
    assert f'default "{kept}; Secure";' in text
    hosts = good()
    text = text_of(weighed(hosts, "shop")["servers/shop.conf"])
    assert 'HttpOnly; SameSite=Lax";' in text and "Secure" not in text


def test_what_lets_in_lies_in_a_file_of_its_own(staging: Hosts) -> None:  # noqa: F811
    made = weighed(staging)
    file = made["early/tasktracker.conf"]
    assert file.mode == "600" and "managed by changeover" in text_of(file)
    for name in ("internal", "dana"):
        value = early.signed("a secret of the tests", "tasktracker", name)
        assert f'"~^{value.replace(".", chr(92) + ".")}$" 0;' in text_of(file)
        digest = value.partition(".")[2]
        assert len(digest) == 64
        assert [path for path, one in made.items() if digest in str(one.content)] == ["early/tasktracker.conf"]
    assert "a secret of the tests" not in text_of(file)
    folders = {folder.path: folder.mode for folder in gateway.directories(fleet.load(staging), "edge1")}
    assert folders["/srv/gateway/conf/early"] == "700"


def test_without_chosen_users_there_is_no_such_file(staging: Hosts) -> None:  # noqa: F811
    made = weighed(staging, steps=[5, 50])
    text = text_of(made["servers/tasktracker.conf"])
    assert "early/tasktracker.conf" not in made and "early" not in text and "_chosen" not in text
    folders = {folder.path for folder in gateway.directories(fleet.load(staging), "edge1")}
    assert "/srv/gateway/conf/early" not in folders


def test_a_gateway_without_steps_is_as_it_was(staging: Hosts) -> None:  # noqa: F811
    before = files(staging)
    assert not [path for path in before if path.startswith("early/")]
    assert "$changeover_" not in "".join(str(one.content) for one in before.values())


# --- what a person shows


def test_a_value_is_of_one_system_and_one_name_and_one_secret() -> None:
    value = early.signed("secret", "shop", "dana")
    assert value.startswith("dana.") and value == early.signed("secret", "shop", "dana")
    others = [("secret", "shop", "eve"), ("secret", "hello", "dana"), ("other", "shop", "dana")]
    assert len({value, *(early.signed(*one) for one in others)}) == 4


@pytest.mark.parametrize("length, said", [(15, True), (16, False)])
def test_a_secret_that_could_be_guessed_is_refused(length: int, said: bool) -> None:
    hosts = good()
    on_all("shop.release", {"steps": [{"who": {"teams": ["internal"]}}, 50], "early_secret": "EARLY_SECRET"})(hosts)
    plan = fleet.load(hosts)
    found = early.weak(plan, Secrets(Path("/nonexistent"), {"EARLY_SECRET": "x" * length}))
    assert bool(found) is said
    assert not said or "EARLY_SECRET (system shop) is shorter than 16 characters" in found[0]
    assert ("shop", "EARLY_SECRET") in plan.secrets_wanted()


def test_a_system_without_clients_has_no_steps() -> None:
    hosts = good()
    on_all("shop.release", {"steps": [5]})(hosts)
    without("shop.services.api.slots")(hosts)
    on_all("shop.services.api.publish", 18000)(hosts)
    with pytest.raises(fleet.SettingsError) as error:
        fleet.load(hosts)
    assert "shop.release.steps: no service of shop has slots and routes" in str(error.value)
