"""A file as it must lie on a host, and the templates it is made from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"
MARKER = "managed by changeover"


@dataclass(frozen=True)
class File:
    """A file on a host. `owner` and `group` are names or numbers as text; content never shows in repr."""

    path: str
    content: str | bytes = field(repr=False)
    mode: str = "644"
    owner: str = "root"
    group: str = "root"

    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.raw()).hexdigest()

    def raw(self) -> bytes:
        """The content's bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.encode()


@dataclass(frozen=True)
class Directory:
    """A folder on a host."""

    path: str
    mode: str = "755"
    owner: str = "root"
    group: str = "root"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    made.filters["compose"] = compose_value
    return made


def compose_value(value: Any) -> str:
    """A value in compose YAML: JSON is YAML, and a dollar sign is doubled or compose would fill in a variable."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False).replace("$", "$$")


def render(template: str, **values: Any) -> str:
    """A template of templates/ with its values. `header` tells the reader of the host who wrote the file.

    Raises jinja2.UndefinedError for a value that is not given.
    """
    header = f"{MARKER}; made from templates/{template}; changes here are lost"
    return _environment().get_template(template).render(header=header, **values)


def digest_of(files: list[File]) -> str:
    """One short digest over several files: paths, contents, modes."""
    parts = [f"{f.path} {f.mode} {f.owner} {f.digest()}" for f in sorted(files, key=lambda f: f.path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
