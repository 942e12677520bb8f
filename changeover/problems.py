"""Turns what is wrong with the settings into lines that name file, key and value, and the nearest right name."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True)
class Problem:
    """One finding: the file to open, the key in it, and what is wrong."""

    file: str
    path: str
    message: str

    def __str__(self) -> str:
        return (
            f"error  {self.file}  {self.path}: {self.message}" if self.path else f"error  {self.file}  {self.message}"
        )


class SettingsError(Exception):
    """All findings at once; str() is what a person reads."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        count = len(self.problems)
        lines = [*map(str, self.problems), f"{count} error{'s' * (count > 1)}; nothing was touched"]
        super().__init__("\n".join(lines))


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean X?` for the closest of words, or nothing."""
    found = get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def from_validation(error: ValidationError, model: type[BaseModel], file: str, prefix: str) -> list[Problem]:
    """Problems for every finding of pydantic in `model`, their paths starting with `prefix`."""
    problems = []
    for finding in error.errors(include_url=False):
        path, owner = _walk(model, finding["loc"])
        message = finding["msg"].removeprefix("Value error, ")
        if finding["type"] == "extra_forbidden":
            known = owner.model_fields if owner else {}
            message = f"unknown key{nearest(str(finding['loc'][-1]), known)}"
        elif finding["type"] == "missing":
            message = "is missing"
        elif not finding["msg"].startswith("Value error"):
            message = f"{message[0].lower()}{message[1:]} (it is {finding['input']!r})"
        problems.append(Problem(file, ".".join([prefix, *path]), message))
    return problems


def _walk(model: Any, loc: Sequence[Any]) -> tuple[list[str], type[BaseModel] | None]:
    """The keys a person wrote (pydantic adds the tags of unions), and the model that holds the last of them."""
    path: list[str] = []
    current, owner = model, None
    for part in loc:
        inner = _models(current)
        if part == "[key]":
            break
        if get_origin(_plain(current)) is dict:
            current = get_args(_plain(current))[1]
        elif len(inner) > 1 and (tagged := [m for m in inner if _kind(m) == part]):
            current = tagged[0]
            continue
        elif inner:
            owner = inner[0]
            field = owner.model_fields.get(str(part))
            current = field.annotation if field else None
        path.append(str(part))
    return path, owner


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    annotation = _plain(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return [model for part in get_args(annotation) for model in _models(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _kind(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    return get_args(field.annotation)[0] if field else None
