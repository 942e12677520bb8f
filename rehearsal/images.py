"""Images: which there are, what each is made of, and a tag that is a hash of just that."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import base, paths
from .errors import RehearsalError
from .shell import Shell

SOURCE_VARIABLE = "CHANGEOVER_REHEARSAL_IMAGES"
SOURCES = ("auto", "build", "pull")
SKIPPED = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv", ".git"}
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
FORMAT = "1"
"""Part of every hash; raised when the way images are made changes."""


@dataclass(frozen=True)
class Image:
    """One image: `tag` is its local name with its content's hash, `names` what hosts pull it as."""

    tag: str
    context: Path
    dockerfile: Path
    build_args: dict[str, str] = field(default_factory=dict)
    target: str = ""
    names: tuple[str, ...] = ()
    official: str = ""
    """The name at a public registry of the image with the same interface; empty: there is none."""
    suite: str = ""
    """The Debian suite of a base image; empty: built from its Dockerfile."""

    @property
    def title(self) -> str:
        return self.names[0] if self.names else self.tag.partition(":")[0].removeprefix("changeover/")

    @property
    def log(self) -> str:
        return "image-" + self.title.replace("/", "-").replace(":", "-")


def content_hash(files: Iterable[tuple[str, bytes, bool]], *words: str) -> str:
    """A short hash of files (name, content, executable) in any order and of words in order. Pure."""
    digest = hashlib.sha256(FORMAT.encode())
    for name, content, executable in sorted(files):
        digest.update(f"\0{name}\0{int(executable)}\0{hashlib.sha256(content).hexdigest()}".encode())
    for word in words:
        digest.update(f"\1{word}".encode())
    return digest.hexdigest()[:12]


def files_in(folder: Path) -> list[tuple[str, bytes, bool]]:
    """The files under a build context, without caches."""
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in SKIPPED]
        for name in names:
            file = Path(here, name)
            if not name.endswith(".pyc") and file.is_file():
                found.append((str(file.relative_to(folder)), file.read_bytes(), os.access(file, os.X_OK)))
    return found


def base_image(source: str, suite: str = base.SUITE) -> Image:
    """The base system of a Debian suite; pulled images and self-made ones have tags of their own."""
    official = f"debian:{suite}-slim"
    seed = official if source == "pull" else base.recipe(suite)
    name = "base" if suite == base.SUITE else f"base-{suite}"
    tag = f"changeover/{name}:{content_hash([], seed)}"
    return Image(tag, paths.IMAGES, paths.IMAGES, official=official, suite=suite)


def host_image(target: str, base_tag: str) -> Image:
    """The image of a host: target `host`, or `bare` without a container engine."""
    context = paths.IMAGES / "host"
    name = "host" if target == "host" else "host-bare"
    tag = f"changeover/{name}:{content_hash(files_in(context), base_tag, target)}"
    return Image(tag, context, context / "Dockerfile", {"BASE": base_tag}, target=target)


HOST_KINDS = ("host", "host-bare", "host-old")
"""With an engine; without; without, and of the older Debian."""


def host_images(kind: str, source: str) -> list[Image]:
    """What a host's image is made of, from the base on; the last one is the host's (plan.Host.image)."""
    if kind == "host-old":
        below = base_image(source, base.OLD_SUITE)
        bare = host_image("bare", below.tag)
        context = paths.IMAGES / "host-old"
        tag = f"changeover/{kind}:{content_hash(files_in(context), bare.tag)}"
        return [below, bare, Image(tag, context, context / "Dockerfile", {"BASE": bare.tag})]
    below = base_image(source)
    return [below, host_image(kind.removeprefix("host-"), below.tag)]


SERVICES = {
    "python": ((), "python:3.13-slim-trixie"),
    "postgres": (("pgvector/pgvector:pg17",), "pgvector/pgvector:pg17"),
    "nats": (("library/nats:2.10",), "nats:2.10-alpine"),
    "nginx": (("library/nginx:1.26",), "nginx:1.26"),
}
"""Folder under images/: what hosts pull it as, and the official image that it stands in for."""


def service_images(base_tag: str, source: str) -> dict[str, Image]:
    """The images of databases, brokers and the like, by folder name."""
    made = {}
    for name, (names, official) in SERVICES.items():
        context = paths.IMAGES / name
        seed = content_hash([], official) if source == "pull" else content_hash(files_in(context), base_tag)
        made[name] = Image(
            f"changeover/{name}:{seed}",
            context,
            context / "Dockerfile",
            {"BASE": base_tag},
            names=names,
            official=official,
        )
    return made


def example_images(services: dict[str, Image], examples: Path) -> list[Image]:
    """The examples' own images, read from examples/*/images.json (a list of name, context, dockerfile, base, releases
    and, where wanted, build_args).

    Raises RehearsalError for a file that does not say what it should.
    """
    made = []
    for file in sorted(examples.glob("*/images.json")):
        try:
            for entry in json.loads(file.read_text()):
                context = examples.parent / entry["context"]
                below = services[entry["base"]].tag
                # An argument that names one of our images (a builder's, say) gets that image.
                extra = {
                    key: services[value].tag if value in services else value
                    for key, value in entry.get("build_args", {}).items()
                }
                sources = files_in(context)
                for release in entry["releases"]:
                    tag = content_hash(sources, entry["dockerfile"], below, release, json.dumps(extra, sort_keys=True))
                    name = entry["name"]
                    made.append(
                        Image(
                            f"changeover/{name.replace('/', '-')}-{release}:{tag}",
                            context,
                            context / entry["dockerfile"],
                            {**extra, "BASE": below, "RELEASE": release},
                            names=(f"{name}:{release}",),
                        )
                    )
        except (ValueError, KeyError, TypeError) as error:
            raise RehearsalError(
                f"{file.relative_to(examples.parent)}: {type(error).__name__}: {error}",
                'A list of {"name", "context", "dockerfile", "base", "releases"} is asked for; '
                f'"base" is one of {", ".join(services)}.',
                "python -m rehearsal build",
            ) from error
    return made


def superseded(newest_first: Sequence[str], used: set[str], keep: int = 3) -> list[str]:
    """Tags of names in `used` that are neither used nor among a name's `keep` newest. Pure."""
    names = {tag.partition(":")[0] for tag in used}
    old: list[str] = []
    for name in sorted(names):
        of_name = [tag for tag in newest_first if tag.partition(":")[0] == name]
        old += [tag for tag in of_name[keep:] if tag not in used]
    return old


def local_tags(shell: Shell, docker: str) -> list[str]:
    """The tags of our images that the engine holds, newest first."""
    code, text = shell.ask(
        [docker, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=changeover/*"]
    )
    return text.split() if code == 0 else []


def build_words(docker: str, image: Image, ca_bundle: str | None) -> list[str]:
    """The words of `docker build` for an image. Pure."""
    words = [docker, "build", "--tag", image.tag, "--file", str(image.dockerfile)]
    if image.target:
        words += ["--target", image.target]
    for key, value in image.build_args.items():
        words += ["--build-arg", f"{key}={value}"]
    if ca_bundle:
        words += ["--secret", f"id=ca,src={ca_bundle}"]
    return [*words, str(image.context)]


def ca_bundle() -> str | None:
    """This machine's certificate authorities, for package downloads inside builds; None: the image's own must do."""
    return next((path for path in CA_BUNDLES if Path(path).is_file()), None)


def pull(shell: Shell, docker: str, image: Image) -> None:
    """Pull the official image and give it our tag (limit 10 min)."""
    shell.run(
        [docker, "pull", "--quiet", image.official],
        image.log,
        600,
        next_command=f"{SOURCE_VARIABLE}=build python -m rehearsal up",
    )
    shell.run([docker, "tag", image.official, image.tag], image.log, 30)


def build(shell: Shell, docker: str, env: dict[str, str], image: Image) -> None:
    """Build an image from its context (limit 15 min)."""
    shell.run(
        build_words(docker, image, ca_bundle()), image.log, 900, env, next_command="python -m rehearsal build --verbose"
    )


def choose_source(shell: Shell, docker: str, asked: str, folder: Path) -> str:
    """Whether images are pulled or built: what was asked for, else what worked before, else one short try to pull.

    Raises RehearsalError for a value that is none of auto, build, pull.
    """
    if asked not in SOURCES:
        raise RehearsalError(
            f"{SOURCE_VARIABLE}={asked}",
            f"It is one of {', '.join(SOURCES)}.",
            f"{SOURCE_VARIABLE}=auto python -m rehearsal up",
        )
    if asked != "auto":
        return asked
    memory = folder / "images-source"
    if memory.is_file() and memory.read_text() in SOURCES[1:]:
        return memory.read_text()
    answered = shell.ask([docker, "pull", "--quiet", "hello-world"], limit=15)[0] == 0
    source = "pull" if answered else "build"
    memory.write_text(source)
    return source
