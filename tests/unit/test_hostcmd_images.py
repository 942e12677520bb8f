"""Images by digest: written down once, kept for the last releases, removed beyond them; never what is used or foreign.
"""

import itertools
import json
import shutil

import pytest

from hostcmd import images, kept
from hostcmd.stop import Stop
from tests.unit.hostcmd_support import fakes
from tests.unit.hostcmd_support.crash import type_and_crash
from tests.unit.hostcmd_support.world import HOSTS, SERVICES, SYSTEM, World, folder, settings, stand_in

KEEP = 2


def digest(release, service="api"):
    """A digest that is another with each release and service."""
    return "sha256:" + f"{service}{release}".encode().hex().ljust(64, "0")


def image(release, service="api"):
    return f"reg:5000/shop/{service}:{release}@{digest(release, service)}"


def words(release):
    return " ".join(f"--image {service}={image(release, service)}" for service in SERVICES)


def few(*words):
    return {**settings(*words), "keep_releases": KEEP}


@pytest.fixture
def world(monkeypatch):
    stand_in(monkeypatch)
    monkeypatch.setattr("tests.unit.hostcmd_support.world.settings", few)
    with folder() as base:
        made = World(base)
        release(made, "1.0.0", "blue")
        yield made


def pull(world, release):
    """What a deploy does: each host has the images of its services."""
    for service, hosts in SERVICES.items():
        for host in hosts:
            found = fakes.engine(world.root(host))
            name = images.by_digest(image(release, service))
            found["images"][name] = {"id": f"id-{service}-{release}", "tags": [f"reg:5000/shop/{service}:{release}"]}
            fakes.save(world.root(host), found)


def release(world, name, slot, confirm=True):
    world.ok(f"stage {SYSTEM} --release {name} {words(name)}")
    pull(world, name)
    world.deploy_containers(name, slot)
    world.ok(f"switch {SYSTEM} --txn T{name} --lease 90")
    return world.ok(f"confirm {SYSTEM} --txn T{name}") if confirm else {}


def here(world, host="app1"):
    """The api's releases whose image is on a host."""
    return sorted(
        tag.rpartition(":")[2]
        for one in fakes.engine(world.root(host))["images"].values()
        for tag in one["tags"]
        if "/api:" in tag
    )


def releases(world, *names):
    """One release after the other, each in the slot that the one before left."""
    for number, name in enumerate(names):
        said = release(world, name, ("green", "blue")[number % 2])
    return said


# --- written down


def test_a_release_keeps_the_image_that_was_written_down_when_its_tag_moved(world):
    moved = f"reg:5000/shop/api:1.0.0@{digest('another')}"
    said = world.ok(f"stage {SYSTEM} --release 1.0.0 --again --image api={moved}")
    assert said["images"]["1.0.0"]["api"] == image("1.0.0")


def test_another_name_of_the_image_is_another_image(world):
    other = f"elsewhere/api:1.0.0@{digest('another')}"
    said = world.ok(f"stage {SYSTEM} --release 1.0.0 --again --image api={other}")
    assert said["images"]["1.0.0"] == {**{s: image("1.0.0", s) for s in SERVICES}, "api": other}


def test_after_the_switch_every_host_knows_the_images(world):
    releases(world, "1.1.0")
    assert all(world.state(host)["images"]["1.1.0"]["api"] == image("1.1.0") for host in HOSTS)


def test_staging_the_same_again_changes_nothing(world):
    first = world.ok(f"stage {SYSTEM} --release 1.1.0 {words('1.1.0')}")
    again = world.ok(f"stage {SYSTEM} --release 1.1.0 {words('1.1.0')}")
    assert first["changed"] and not again["changed"] and again["seq"] == first["seq"]


def test_a_candidate_that_is_given_up_is_looked_at_again(world):
    world.ok(f"stage {SYSTEM} --release 1.1.0 {words('1.1.0')}")
    world.ok(f"drain {SYSTEM} --now")
    assert set(world.state()["images"]) == {"1.0.0"} == set(world.state()["tried"])


def test_a_first_installation_counts_as_confirmed(monkeypatch):
    stand_in(monkeypatch)
    with folder() as base:
        made = World(base)
        made.install()
        assert made.state()["lived"] == ["1.0.0"], "it has no lease"


@pytest.mark.parametrize("word", ["api", "api=reg/api:1", "api=reg/api:1@sha256:12", "=x@sha256:" + "0" * 64])
def test_what_names_no_digest_is_refused(world, word):
    code, said = world.type(f"stage {SYSTEM} --release 1.1.0 --image {word}")
    assert code == 2 and "SERVICE=IMAGE@sha256:DIGEST" in said["error"]


def test_what_is_written_down_has_an_end():
    state = {"images": {}, "tried": [], "lived": [], "release": {"live": "0"}, "slots": {}}
    state = kept.recorded(state, "0", {"api": "a:0@x"}, 2)
    for number in range(1, 40):
        state = kept.recorded(state, str(number), {"api": f"a:{number}@x"}, 2)
    assert len(state["tried"]) == kept.MEMORY + 1 and set(state["tried"]) == set(state["images"])
    assert "0" in state["images"], "it is live"


# --- removed


def test_images_beyond_the_kept_releases_are_removed_on_every_host(world):
    said = releases(world, "1.1.0", "1.1.1")
    assert [here(world, host) for host in ("app1", "app2")] == [["1.1.0", "1.1.1"]] * 2
    assert set(said["removed"]) == set(HOSTS) and "images of older releases were removed" in said["message"]
    assert release(world, "1.1.2", "green")["removed"]["app2"] == [image("1.1.0"), image("1.1.0", "worker")]


def test_a_host_that_was_away_does_it_after_the_next_one(world):
    release(world, "1.1.0", "green")
    release(world, "1.1.1", "blue", confirm=False)
    world.away("app2")
    world.ok(f"confirm {SYSTEM} --txn T1.1.1")
    assert here(world, "app2") == ["1.0.0", "1.1.0", "1.1.1"]
    world.away("app2", False)
    world.ok(f"recover {SYSTEM}")
    said = world.ok(f"confirm {SYSTEM} --txn T1.1.1")
    assert here(world, "app2") == ["1.1.0", "1.1.1"] and list(said["removed"]) == ["app2"]


def test_killed_at_any_write_the_next_confirmation_removes_them(world):
    release(world, "1.1.0", "green")
    release(world, "1.1.1", "blue", confirm=False)
    with folder() as before:
        shutil.copytree(world.base, before, symlinks=True, dirs_exist_ok=True)
        for at in itertools.count(1, 2):
            shutil.rmtree(world.base)
            shutil.copytree(before, world.base, symlinks=True)
            if not type_and_crash(str(world.root("edge1")), f"confirm {SYSTEM} --txn T1.1.1", at):
                break
            world.ok(f"recover {SYSTEM}")
            world.ok(f"confirm {SYSTEM} --txn T1.1.1")
            assert [here(world, host) for host in ("app1", "app2")] == [["1.1.0", "1.1.1"]] * 2
    assert at > 40


def test_an_engine_that_does_not_answer_never_fails_the_confirmation(world):
    releases(world, "1.1.0")
    release(world, "1.1.1", "blue", confirm=False)
    world.engine("app2", down=True)
    world.ok(f"confirm {SYSTEM} --txn T1.1.1")
    assert here(world, "app1") == ["1.1.0", "1.1.1"] and here(world, "app2") == ["1.0.0", "1.1.0", "1.1.1"]


def test_what_any_container_uses_stays(world, monkeypatch):
    """The engine itself would only take the names away where there are several: it is not even asked."""
    name, asked, real = images.by_digest(image("1.0.0")), [], images.run.run

    def seen(words, **more):
        asked.append((more["root"], *words))
        return real(words, **more)

    monkeypatch.setattr(images.run, "run", seen)
    found = fakes.engine(world.root("app1"))
    found["containers"]["other-web-1"] = {"state": "exited", "health": "none", "release": "1.0.0"}
    fakes.save(world.root("app1"), found)
    releases(world, "1.1.0", "1.1.1")
    assert [root.rpartition("/")[2] for root, *words in asked if "rm" in words and name in words] == ["app2"]
    assert name in fakes.engine(world.root("app1"))["images"]


def test_an_image_that_a_kept_release_is_made_of_stays(world):
    """The same bytes under another tag are the same image."""
    same = image("1.1.0").replace(":1.1.0@", ":1.0.9@")
    world.ok(f"stage {SYSTEM} --release 1.0.9 --image api={same}")
    world.ok(f"drain {SYSTEM} --now")
    state = {**world.state(), "images": {"1.0.9": {"api": same}, "1.1.0": {"api": image("1.1.0")}}, "lived": ["1.1.0"]}
    state["slots"] = {}
    pull(world, "1.1.0")
    assert kept.superseded(state, KEEP) == {same}
    assert images.prune(world.site("app1"), state) == []
    assert "1.1.0" in here(world)


def test_another_systems_images_stay(world):
    other = {"schema": 1, "release": {"live": "9"}, "images": {"9": {"web": image("1.0.0")}}}
    root = world.root("app1")
    (root / "etc/changeover/hello.json").write_text(json.dumps({**few("app1", "blue_green"), "system": "hello"}))
    (root / "var/lib/changeover/hello").mkdir()
    (root / "var/lib/changeover/hello/state.json").write_text(json.dumps(other))
    releases(world, "1.1.0", "1.1.1")
    assert here(world, "app1") == ["1.0.0", "1.1.0", "1.1.1"] and here(world, "app2") == ["1.1.0", "1.1.1"]


def test_foreign_images_are_never_looked_at(world):
    found = fakes.engine(world.root("app1"))
    found["images"]["reg:5000/shop/api@sha256:foreign"] = {"id": "f", "tags": ["reg:5000/shop/api:0.9.9"]}
    fakes.save(world.root("app1"), found)
    releases(world, "1.1.0", "1.1.1", "1.1.2")
    assert here(world) == ["0.9.9", "1.1.1", "1.1.2"]


def test_a_release_that_went_back_does_not_push_out_a_good_one(world):
    releases(world, "1.1.0")
    release(world, "1.2.0", "blue", confirm=False)
    world.ok(f"rollback {SYSTEM} --why bad")
    release(world, "1.1.1", "blue")
    assert here(world) == ["1.1.0", "1.1.1"]


def test_a_state_from_before_knows_no_images_and_nothing_is_asked(world, monkeypatch):
    monkeypatch.setattr(images.peers, "ask_all", lambda *_: pytest.fail("nobody is asked"))
    assert images.pruned_everywhere(world.site(), {**world.state(), "images": {}}) == {}


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("reg:5000/a/b:1@sha256:x", "reg:5000/a/b@sha256:x"),
        ("reg:5000/a/b@sha256:x", "reg:5000/a/b@sha256:x"),
        ("nginx:1.26@sha256:x", "nginx@sha256:x"),
    ],
)
def test_the_engine_lists_an_image_without_its_tag(name, wanted):
    assert images.by_digest(name) == wanted


# --- history


def test_history_says_what_became_of_each_release_and_where_its_images_are(world):
    releases(world, "1.1.0")
    release(world, "1.2.0", "blue", confirm=False)
    world.ok(f"rollback {SYSTEM} --why bad")
    release(world, "1.1.1", "blue")
    found = {one["release"]: one for one in world.ok(f"history {SYSTEM}")["history"]}
    assert list(found) == ["1.1.1", "1.1.0"], "as many as are kept"
    assert (found["1.1.1"]["role"], found["1.1.1"]["outcome"]) == ("live", "confirmed")
    assert found["1.1.0"]["role"] == "previous" and found["1.1.0"]["images"] == "images here"
    told = world.ok(f"history {SYSTEM}")["message"]
    assert f"to go back: changeover rollback {SYSTEM}" in told and "held 1.2.0: bad" in told


def test_history_tells_where_an_image_is_missing(world):
    releases(world, "1.1.0")
    world.engine("app2", images={})
    world.away("edge2")
    first = world.ok(f"history {SYSTEM}")["history"][0]
    assert first["images"] == "images here, not on app2 (edge2 not asked)"


def test_a_release_that_went_back_says_why(world):
    release(world, "1.2.0", "green", confirm=False)
    world.ok(f"rollback {SYSTEM} --why loses-events")
    one = world.ok(f"history {SYSTEM}")["history"][1]
    assert one["release"] == "1.2.0" and one["outcome"].startswith("rolled back at ") and one["why"] == "loses-events"
    assert "loses-events   held" in world.ok(f"history {SYSTEM}")["message"]


# --- the idle slot is given away when it had its time


def test_staging_waits_until_the_idle_slot_is_drained(world, monkeypatch):
    slept = []
    monkeypatch.setattr("hostcmd.verbs.time.sleep", slept.append)
    monkeypatch.setattr("hostcmd.verbs._drain_left", lambda *_: 17.0)
    releases(world, "1.1.0")
    assert slept == [], "the idle slot was empty"
    world.ok(f"stage {SYSTEM} --release 1.1.1")
    world.ok(f"stage {SYSTEM} --release 1.1.1")
    assert slept == [17.0], "staged already: it was given away before"
    world.ok(f"drain {SYSTEM} --now")
    world.ok(f"stage {SYSTEM} --release 1.1.1")
    assert slept == [17.0], "stopped already"


def test_a_held_release_is_refused_before_any_wait(world, monkeypatch):
    monkeypatch.setattr("hostcmd.verbs._drain_left", lambda *_: pytest.fail("waits"))
    world.ok(f"hold {SYSTEM} 1.2.0")
    with pytest.raises(Stop):
        from hostcmd import verbs
        from hostcmd.taken import Call

        verbs.stage(world.site(), Call("stage", None, "me"), "1.2.0", [], False, None)


@pytest.mark.parametrize(
    "image, listed",
    [
        ("docker.io/shop/api@sha256:1", "shop/api@sha256:1"),
        ("docker.io/library/nginx:1.26", "nginx:1.26"),
        ("registry.test:5000/library/api:1", "registry.test:5000/library/api:1"),
    ],
)
def test_public_images_have_the_name_that_the_engine_lists(image, listed):
    assert images.familiar(image) == listed
