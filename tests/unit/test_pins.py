"""Which images of a release are known to the byte; what a run looks up, pulls and writes down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import Outcome
from plans import Hosts, good, on_all

from changeover import fleet, pins, stack
from changeover.live import Live, Releases, SlotState
from changeover.look import tags
from changeover.plan import Plan
from changeover.secrets import Secrets
from operations import flow, images, release
from operations.images import Late

Run = Callable[..., Outcome]
HEX = "a" * 64
TAGGED = "registry.test:5000/shop/api:1.1.0"
PINNED = f"{TAGGED}@sha256:{HEX}"
LIVE = Live(
    generation=7,
    release=Releases(live="1.0.0"),
    slots={name: SlotState(live="blue", blue="1.0.0") for name in ("api", "clock")},
)
KNOWN = LIVE.model_copy(update={"images": {"1.1.0": {"api": PINNED, "clock": f"other/clock:1.1.0@sha256:{HEX}"}}})
SECRETS = Secrets(Path("/nonexistent"), {"SHOP_DB_PASSWORD": "s", "POSTGRES_PASSWORD": "p"})


def plan(asked: str | None = "1.1.0", change: Callable[[Hosts], None] = lambda hosts: None) -> Plan:
    hosts = good()
    if asked:
        on_all("release", asked)(hosts)
    change(hosts)
    return fleet.load(hosts)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (images, release):
        for name in ("FOUND", "RECORDED"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, getattr(images, name))
    images.FOUND.clear()
    images.RECORDED.clear()
    flow.FAILURES.clear()
    yield
    images.FOUND.clear()
    images.RECORDED.clear()


# --- known to the byte


def test_all_images_of_a_new_release_are_looked_up() -> None:
    wanted = {"api": TAGGED, "clock": "registry.test:5000/shop/clock:1.1.0"}
    assert pins.unpinned(plan(), "shop", LIVE) == wanted
    assert pins.unpinned(plan(None), "shop", Live()) == {n: i.replace("1.1.0", "1.0.0") for n, i in wanted.items()}


def test_what_is_written_down_is_not_looked_up_again_unless_it_has_another_name() -> None:
    assert list(pins.unpinned(plan(), "shop", KNOWN)) == ["clock"]


def test_what_runs_by_its_tag_alone_is_left_alone() -> None:
    """Deployed before digests were written down: naming the digest would start it anew."""
    assert pins.unpinned(plan(None), "shop", LIVE) == {}
    assert pins.unpinned(plan(None), "shop", LIVE.model_copy(update={"drifted": True})) == {}
    assert pins.unpinned(plan(None), "hello", Live(release=Releases(live="1.26"))) == {}
    assert list(pins.unpinned(plan(None), "hello", Live())) == ["web"]


def test_an_image_by_digest_and_one_of_no_release_are_the_teams_own() -> None:
    changed = plan(change=on_all("shop.services.clock.image", f"{{registry}}/clock@sha256:{HEX}"))
    assert list(pins.unpinned(changed, "shop", LIVE)) == ["api"]


def spec(found: Plan, live: Live, name: str) -> stack.ContainerSpec:
    return next(s for s in stack.containers(found, "shop", "app1", live, SECRETS) if s.name == name)


def test_the_compose_file_names_what_was_written_down_and_that_is_no_other_setting() -> None:
    before, after = spec(plan(), LIVE, "api-green"), spec(plan(), KNOWN, "api-green")
    assert (before.body["image"], after.body["image"]) == (TAGGED, PINNED)
    assert before.body["labels"] == after.body["labels"]
    assert spec(plan(), KNOWN, "api-blue").body["image"].endswith("/api:1.0.0"), "the live one was deployed by its tag"
    assert spec(plan(), KNOWN, "clock-green").body["image"] == "registry.test:5000/shop/clock:1.1.0"


def test_a_tag_that_was_pushed_again_is_said_and_changes_nothing() -> None:
    assert pins.written_down(plan(), "shop", KNOWN) == {"api": PINNED}
    assert pins.moved_tags(plan(), "shop", KNOWN, {}) == []
    assert pins.moved_tags(plan(), "shop", KNOWN, {TAGGED: f"sha256:{HEX}"}) == []
    assert pins.moved_tags(plan(), "shop", KNOWN, {TAGGED: f"sha256:{'b' * 64}"}) == [
        f"{TAGGED} is another image now (sha256:bbbbbbbbbbbb); shop 1.1.0 stays the one that was staged "
        "(sha256:aaaaaaaaaaaa); to ship the new one, give it a version of its own"
    ]
    assert [tags(plan(), name, {"shop": KNOWN}) for name in ("edge1", "app1", "app2")] == [
        [], [TAGGED, "registry.test:5000/shop/clock:1.1.0"], [],
    ], "also of what nobody wrote down yet"  # fmt: skip


def test_a_host_wants_the_images_of_its_own_services() -> None:
    assert pins.wanted(plan(), "shop", "app1", KNOWN) == [PINNED, "registry.test:5000/shop/clock:1.1.0"]
    assert pins.wanted(plan(), "shop", "app2", KNOWN) == [PINNED]
    assert pins.wanted(plan(), "shop", "data1", KNOWN) == []


def test_images_are_pulled_before_anything_is_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slots, and with them the way back, are not given away before every host has the release."""
    seen: list[Late] = []
    monkeypatch.setattr(images, "pulled", lambda images, **_: seen.append(images))
    images.here._inner(plan(), "shop", "app1", KNOWN)  # type: ignore[attr-defined]
    clock = "registry.test:5000/shop/clock:1.1.0"
    images.FOUND["shop"] = {clock: f"{clock}@sha256:{'b' * 64}"}
    assert seen[0].make() == [PINNED, f"{clock}@sha256:{'b' * 64}"] and images.RECORDED == {}


def test_what_may_fail_before_a_slot_is_touched_comes_before_the_staging() -> None:
    phases = re.findall(r"phases/(\w+)\.py", (Path(__file__).parents[2] / "deploy.py").read_text())
    first = phases.index("stage")
    assert {"preflight", "lock", "infrastructure", "images", "publish"} <= set(phases[:first])
    assert phases[first + 1] == "open"


def test_each_image_is_looked_up_by_one_host(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []
    both = {"on": "data", "layer": 2, "image": "{registry}/shop/api:{release}"}
    found = plan(change=on_all("shop.services.clock", both))
    for name in ("data1", "edge1", "app1", "app2"):
        monkeypatch.setattr(images, "tagged", lambda images, name=name, here=name, **_: seen.append((here, images)))
        images.looked_up._inner(found, "shop", name, LIVE)  # type: ignore[attr-defined]
    assert seen == [("app1", [TAGGED])]


# --- on hosts


def test_a_tag_is_looked_up_once(run: Run) -> None:
    done = run(images.tagged, {"docker pull": [f"Digest: sha256:{HEX}", TAGGED]}, system="shop", images=[TAGGED])
    assert not done.failed and images.FOUND == {"shop": {TAGGED: PINNED}}


def test_without_a_registry_the_image_that_is_here_is_taken(run: Run) -> None:
    here = {
        "docker pull": {"success": False, "stderr": ["connection refused"]},
        "docker image inspect": [f'["elsewhere/api@sha256:{"b" * 64}","registry.test:5000/shop/api@sha256:{HEX}"]'],
    }
    assert not run(images.tagged, here, system="shop", images=[TAGGED]).failed
    assert images.FOUND == {"shop": {TAGGED: PINNED}}


@pytest.mark.parametrize(
    "image, listed",
    [
        ("docker.io/shop/api:1.1.0", "shop/api"),
        ("docker.io/library/nginx:1.26", "nginx"),
        ("docker.io/shop/api:1.1.0", "docker.io/shop/api"),
        ("registry.test:5000/shop/api:1.1.0", "registry.test:5000/shop/api"),
    ],
)
def test_the_engine_lists_public_images_without_their_registry(image: str, listed: str) -> None:
    found = images.digest_of(image, f'["other/api@sha256:{"b" * 64}","{listed}@sha256:{HEX}"]')
    assert found and found[1] == f"sha256:{HEX}"
    assert images.digest_of(image, f'["mine/{listed}@sha256:{HEX}"]') is None


def test_an_image_that_never_was_in_a_registry_keeps_its_tag(run: Run) -> None:
    here = {"docker pull": {"success": False, "stderr": ["not found"]}, "docker image inspect": ["[]"]}
    assert not run(images.tagged, here, system="shop", images=[TAGGED]).failed
    assert images.FOUND == {}


def test_an_image_that_is_nowhere_ends_the_run_with_its_name_and_the_reason(run: Run) -> None:
    unknown = {"success": False, "stderr": ["manifest unknown"]}
    gone = {"docker pull": unknown, "docker image inspect": unknown}
    done = run(images.tagged, gone, system="shop", images=[TAGGED])
    assert done.failed and images.FOUND == {}
    first, then = flow.FAILURES["@fake/one"]
    assert f"{TAGGED} cannot be pulled: manifest unknown" in first and "nothing was touched" in then


def test_images_are_pulled_by_what_is_known_when_it_runs(run: Run) -> None:
    done = run(images.pulled, {}, system="shop", images=Late(lambda: [PINNED]))
    (command,) = done.commands
    assert f"for i in {PINNED}; do docker image inspect" in command.text and 'docker pull -q "$i"' in command.text
    assert "sudo changeover drain shop --now" in command.text


STAGE: dict[str, Any] = {
    "system": "shop",
    "images": {"api": TAGGED, "clock": "x/clock:1.1.0"},
    "limit": 60,
    "words": ["stage", "shop", "--release", "1.1.0"],
}


def test_what_was_looked_up_is_written_down_and_used_from_then_on(run: Run) -> None:
    images.FOUND["shop"] = {TAGGED: PINNED}
    answer = f'{{"ok": true, "images": {{"1.1.0": {{"api": "{PINNED}"}}}}}}'
    done = run(release.staged, {"changeover stage": [answer]}, **STAGE)
    assert f"--image api={PINNED} --json" in done.commands[0].text and "clock=" not in done.commands[0].text
    assert images.known("shop", LIVE).pinned("1.1.0", "api", TAGGED) == PINNED


def test_a_refusal_is_read_as_it_is_meant(run: Run) -> None:
    said = '{"ok": false, "error": "1.1.0 is held: slow", "next": "changeover unhold shop 1.1.0"}'
    done = run(release.staged, {"changeover stage": {"success": False, "stdout": [said]}}, **STAGE)
    assert done.failed and images.RECORDED == {}
    assert flow.FAILURES["@fake/one"] == ["error  1.1.0 is held: slow", "next   changeover unhold shop 1.1.0"]


def test_a_host_command_that_says_nothing_is_a_failure(run: Run) -> None:
    assert run(release.staged, {"changeover stage": ["Killed"]}, **STAGE).failed
    assert flow.FAILURES["@fake/one"] == ["Killed"]
