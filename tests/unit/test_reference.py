"""docs/settings.md is the model's own words."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from changeover import example, fleet, reference, settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
EXAMPLE = DOCS.with_name("every_key.py")


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


# --- the example that holds every key


def used(model: type[BaseModel], value: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """(model, key) of every key that the example holds below a value."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key not in value:
            continue
        yield model, key
        inner = value[key]
        dicts = [inner, *(inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ())]
        for one in dicts:
            if found := example.model_of(field.annotation, one):
                yield from used(found, one)


def test_the_example_is_current():
    assert EXAMPLE.read_text() == example.page(), "run: python -m changeover example > docs/every_key.py"


def test_the_example_holds_every_key_of_every_model():
    there = {key for _, model, values in example.SYSTEMS for key in used(model, values)}
    wanted = {
        (model, field.alias or name)
        for top in (settings.Fleet, settings.System)
        for model in models(top)
        for name, field in model.model_fields.items()
    }
    missing = sorted(f"{model.__name__}.{key}" for model, key in wanted - there)
    assert not missing, "write it into one of SYSTEMS of changeover/example.py"


def test_the_example_has_no_fault():
    names = runpy.run_path(str(EXAMPLE))
    own = ("fleet", "shop", "wiki")
    places = {"edge1": "edge", "app1": "app", "app2": "app", "data1": "data"}
    hosts = [
        (name, [group, "shop", "wiki", "prod"], {"address": f"10.0.0.{n}", **{k: names[k] for k in own}})
        for n, (name, group) in enumerate(places.items(), 1)
    ]
    plan = fleet.load(hosts)
    assert plan.systems["wiki"].release.strategy == "rolling" and plan.fleet.memory_overcommit == 1.5
    assert [step.who.percent for step in plan.systems["shop"].release.steps] == [0, 5, 25, 50, 100]


def test_each_key_of_the_example_has_its_words():
    lines = EXAMPLE.read_text().splitlines()
    first: dict[str, int] = {}
    for number, line in enumerate(lines):
        if found := re.match(r" +([a-z_]+)=", line):
            first.setdefault(found[1], number)
    assert len(first) > 80
    assert [key for key, number in first.items() if not lines[number - 1].lstrip().startswith("# ")] == []
