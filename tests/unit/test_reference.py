"""docs/settings.md is the model's own words."""

from pathlib import Path

from changeover import reference

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_the_page_is_current():
    assert DOCS.read_text() == reference.page(), "run: python -m changeover settings > docs/settings.md"


def test_every_key_says_what_it_is_for():
    for title, model in reference.SECTIONS:
        empty = [name for name, field in model.model_fields.items() if not field.description]
        assert not empty, f"{title}: {empty} have no description"
