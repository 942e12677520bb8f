"""An image's tag is a hash of what it is made of, and of nothing else."""

import json
from pathlib import Path

import pytest

from rehearsal import base, images, registry
from rehearsal.errors import RehearsalError

FILES = [("Dockerfile", b"FROM x", False), ("run.sh", b"#!/bin/sh", True)]


def test_the_hash_ignores_order_and_minds_content_names_and_modes() -> None:
    whole = images.content_hash(FILES, "base:1")
    assert images.content_hash(FILES[::-1], "base:1") == whole
    others = [
        images.content_hash(FILES, "base:2"),
        images.content_hash([FILES[0]], "base:1"),
        images.content_hash([FILES[0], ("run.sh", b"#!/bin/sh", False)], "base:1"),
        images.content_hash([FILES[0], ("go.sh", b"#!/bin/sh", True)], "base:1"),
        images.content_hash([("Dockerfile", b"FROM y", False), FILES[1]], "base:1"),
        images.content_hash(FILES, "base:", "1"),
    ]
    assert whole not in others and len(set(others)) == len(others)


def test_caches_are_no_part_of_a_context(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("1")
    (tmp_path / "app" / "main.pyc").write_text("2")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x").write_text("3")
    assert images.files_in(tmp_path) == [("app/main.py", b"1", False)]


def test_host_images_share_a_context_but_not_a_tag() -> None:
    host, bare = images.host_image("host", "changeover/base:1"), images.host_image("bare", "changeover/base:1")
    assert host.tag.startswith("changeover/host:") and bare.tag.startswith("changeover/host-bare:")
    assert images.host_image("host", "changeover/base:2").tag != host.tag


def test_services_have_the_official_names_and_a_context_each() -> None:
    made = images.service_images("changeover/base:1", "build")
    names = {name for image in made.values() for name in image.names}
    assert names == {"pgvector/pgvector:pg17", "library/nats:2.10", "library/nginx:1.26"}
    assert all(image.dockerfile.is_file() for image in made.values())
    pulled = images.service_images("changeover/base:1", "pull")
    assert pulled["nats"].tag != made["nats"].tag


def test_build_words_exactly() -> None:
    image = images.Image("changeover/x:1", Path("/c"), Path("/c/Dockerfile"), {"BASE": "b:1"}, target="host")
    assert images.build_words("docker", image, "/ca.crt") == (
        "docker build --tag changeover/x:1 --file /c/Dockerfile --target host --build-arg BASE=b:1"
        " --secret id=ca,src=/ca.crt /c"
    ).split(" ")
    assert "--secret" not in images.build_words("docker", image, None)


def example(tmp_path: Path, entries: object) -> Path:
    folder = tmp_path / "examples" / "shop"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM x")
    (folder / "images.json").write_text(json.dumps(entries))
    return folder.parent


def test_examples_are_read_from_their_own_file(tmp_path: Path) -> None:
    entry = {
        "name": "shop/api",
        "context": "examples/shop",
        "dockerfile": "Dockerfile",
        "base": "python",
        "build_args": {"BUILDER": "nginx", "MODE": "fast"},
        "releases": ["1.0.0", "1.1.0"],
    }
    services = images.service_images("changeover/base:1", "build")
    made = images.example_images(services, example(tmp_path, [entry]))
    assert [image.names for image in made] == [("shop/api:1.0.0",), ("shop/api:1.1.0",)]
    assert made[0].tag != made[1].tag
    assert made[1].build_args == {
        "BUILDER": services["nginx"].tag,
        "MODE": "fast",
        "BASE": services["python"].tag,
        "RELEASE": "1.1.0",
    }


@pytest.mark.parametrize(
    "entries", [[{"name": "x"}], [{"name": "x", "context": "examples/shop", "base": "ruby"}], "no"]
)
def test_an_example_that_does_not_say_enough_is_named(tmp_path: Path, entries: object) -> None:
    with pytest.raises(RehearsalError, match="examples/shop/images.json"):
        images.example_images(images.service_images("b", "build"), example(tmp_path, entries))


def test_a_moved_tag_is_noticed_by_its_marked_twin() -> None:
    image = images.Image("changeover/postgres:3fa94c", Path("/c"), Path("/c/Dockerfile"))
    assert registry.marked("pgvector/pgvector:pg17", image) == "pgvector/pgvector:pg17-3fa94c"


def test_apt_sources_of_both_formats() -> None:
    text = (
        "Types: deb\nURIs: http://one.example/debian\nSuites: x\n# deb http://old.example/debian x main\n"
        "deb [signed-by=/k.gpg] http://two.example/debian-security x main\ndeb http://one.example/debian y main\n"
    )
    addresses = base.uris(text)
    assert addresses == ["http://one.example/debian", "http://two.example/debian-security"]
    assert base.apt_lines(addresses, "trixie") == [
        "deb http://one.example/debian trixie main",
        "deb http://two.example/debian-security trixie-security main",
    ]
    assert base.apt_lines(["http://other.example/ubuntu"]) == []


def test_only_long_superseded_images_of_our_names_are_forgotten() -> None:
    tags = ["a/x:5", "a/y:1", "a/x:4", "a/x:3", "a/x:2", "a/x:1", "a/z:1"]
    assert images.superseded(tags, {"a/x:1", "a/y:1"}) == ["a/x:2"]
