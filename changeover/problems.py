"""Turns what is wrong with the settings into lines that name file, key and value, and the nearest right name."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from changeover.words import PATTERNS

LONGEST = 60  # characters of a value in a message

# pydantic's kinds of finding in words; {} are what it knows about the limit that was broken.
WORDS = {
    "missing": "is missing",
    "invalid_key": "must have a key of text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a plain number",
    "bool_type": "must be True or False",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be a dict",
    "model_type": "must be a dict",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "literal_error": "must be {expected}",
}


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
        self.problems = list(dict.fromkeys(problems))
        count = len(self.problems)
        lines = [*map(str, self.problems), f"{count} error{'s' * (count > 1)}; nothing was touched"]
        super().__init__("\n".join(lines))


def nearest(word: str, words: Iterable[str], cutoff: float = 0.6) -> str:
    """`; did you mean X?` for the closest of words, or nothing."""
    found = get_close_matches(word, list(words), n=1, cutoff=cutoff)
    return f"; did you mean {found[0]}?" if found else ""


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def from_validation(error: ValidationError, model: type[BaseModel], file: str, prefix: str) -> list[Problem]:
    """Problems for every finding of pydantic in `model`, their paths starting with `prefix`."""
    problems = []
    for finding in error.errors(include_url=False):
        path, owner = _walk(model, finding["loc"])
        problems.append(Problem(file, ".".join([prefix, *path]), _message(finding, owner)))
    return problems


def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model as a person writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _message(finding: Any, owner: type[BaseModel] | None) -> str:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx", {})
    it_is = f" (it is {shown(value)})"
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(finding['loc'][-1]), keys(owner) if owner else ())}"
    if kind == "value_error":
        return finding["msg"].removeprefix("Value error, ")
    if kind == "kind":
        return f"kind {finding['msg']} (it is {shown(value.get('kind'))})"
    if kind == "string_pattern_mismatch":
        return f"{PATTERNS[context['pattern']]}{it_is}"
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        read = " (it is read as a number, so 1.10 is 1.1)" if isinstance(value, float) else ""
        return f'must be text; write "{value}" with the quotes{read}'
    if kind == "literal_error":
        known = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"must be {context['expected']}{it_is}{nearest(str(value), known)}"
    words = WORDS.get(kind, f"{finding['msg'][0].lower()}{finding['msg'][1:]}").format(**context)
    return words if kind in ("missing", "string_too_short", "too_short") else f"{words}{it_is}"


def _walk(model: Any, loc: Sequence[Any]) -> tuple[list[str], type[BaseModel] | None]:
    """The keys a person wrote (pydantic adds the tags of unions), and the model that holds the last of them."""
    path: list[str] = []
    current, owner = model, None
    for part in loc:
        inner = _models(current)
        if part == "[key]":
            break
        if tagged := _tagged(current, part):
            current = tagged
            continue
        if many := _many(current):
            current = get_args(many)[-1]
        elif inner:
            owner = inner[0]
            field = owner.model_fields.get(str(part))
            current = field.annotation if field else None
        path.append(str(part))
    return path, owner


def _tagged(annotation: Any, part: Any) -> Any:
    """The member of a tagged union that `part` is the tag of; None where it is a key."""
    for member in get_args(_plain(annotation)) if _is_union(_plain(annotation)) else ():
        if get_origin(member) is Annotated and any(getattr(mark, "tag", None) == part for mark in get_args(member)[1:]):
            return member
    return None


def _many(annotation: Any) -> Any:
    """The dict or list that an annotation is, or allows beside None; None where there is none."""
    plain = _plain(annotation)
    parts = map(_plain, get_args(plain)) if _is_union(plain) else (plain,)
    return next((part for part in parts if get_origin(part) in (dict, list)), None)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def _plain(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    annotation = _plain(annotation)
    if _is_union(annotation):
        return [model for part in get_args(annotation) for model in _models(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
