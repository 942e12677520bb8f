"""docs/settings.md is the model's own words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from changeover import reference, settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_is_current():
    assert DOCS.read_text() == reference.page(), "run: python -m changeover settings > docs/settings.md"


def test_every_key_says_what_it_is_for():
    for title, model in reference.SECTIONS:
        empty = [name for name, field in model.model_fields.items() if not field.description]
        assert not empty, f"{title}: {empty} have no description"


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model in an annotation, and in its keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for part in get_args(annotation):
        yield from models(part)


def test_every_model_has_a_section():
    wanted = {model for top in (settings.Fleet, settings.System, settings.Run) for model in models(top)}
    assert {model for _, model in reference.SECTIONS} == wanted


def test_a_key_is_shown_as_it_is_written():
    assert "| `json` |" in reference.page() and "json_" not in reference.page()
