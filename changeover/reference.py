"""docs/settings.md, made from the model: every key, its type, its default and what it is for."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from changeover import settings

INTRO = """# Settings

Every key of `group_data`. Made from `changeover/settings.py` by `python -m changeover settings`; a test checks that it
is current. [every_key.py](every_key.py) is an example that holds each key once. `fleet` is in `group_data/all.py`; a
system is one file with one name. An environment's file changes single values:
`overrides = {"shop.services.api.memory": "2G"}`. Durations are `500ms`, `90s`, `5m`, `24h`, `7d`; sizes `64K`, `512M`,
`2G`.
"""

SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("fleet", settings.Fleet),
    ("fleet.gateway", settings.Gateway),
    ("fleet.gateway.acme", settings.Acme),
    ("fleet.firewall", settings.Firewall),
    ("fleet.firewall.open, one of the list", settings.Opening),
    ("fleet.sshd", settings.Sshd),
    ("fleet.updates", settings.Updates),
    ("fleet.swap", settings.Swap),
    ("SYSTEM", settings.System),
    ("SYSTEM.tls", settings.Tls),
    ("SYSTEM.release", settings.Releasing),
    ("SYSTEM.release.steps, one of the list", settings.Step),
    ("SYSTEM.release.steps.who", settings.Who),
    ("SYSTEM.release.probe, one of the list", settings.Probe),
    ("SYSTEM.release.smoke, one of the list", settings.Smoke),
    ("SYSTEM.release.smoke.event", settings.Event),
    ("SYSTEM.release.commands, one of the list", settings.Command),
    ("SYSTEM.gates, one of the list", settings.Gate),
    ("SYSTEM.gates.source", settings.Source),
    ("SYSTEM.gates.baseline", settings.Baseline),
    ("SYSTEM.migrations", settings.Migrations),
    ("SYSTEM.checklist, one of the list", settings.Item),
    ("SYSTEM.checklist, one's program", settings.Program),
    ('SYSTEM.services.NAME (kind="app", the default)', settings.App),
    ('SYSTEM.services.NAME (kind="postgres")', settings.Postgres),
    ('SYSTEM.services.NAME (kind="nats")', settings.Nats),
    ("SYSTEM.services.NAME.slots", settings.Slots),
    ("SYSTEM.services.NAME.routes.PREFIX", settings.Route),
    ("SYSTEM.services.NAME.health", settings.Health),
    ("SYSTEM.services.NAME.ready", settings.Ready),
    ("SYSTEM.services.NAME.test", settings.Integration),
    ("--data (a run's own)", settings.Run),
]


def page() -> str:
    """The whole reference, as Markdown."""
    return "\n".join([INTRO, *(line for title, model in SECTIONS for line in _section(title, model))])


def _section(title: str, model: type[BaseModel]) -> Iterator[str]:
    doc = (model.__doc__ or "").strip().splitlines()[0]
    yield from (f"## {title}", "", doc, "", "| key | type | default | what |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field)
        what = (field.description or "").replace("|", "\\|")
        yield f"| `{field.alias or name}` | {_type(field.annotation)} | {default} | {what} |"
    yield ""


def _default(field: Any) -> str:
    value = field.default
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "see its section"
    return "none" if value is None else f"`{value!r}`".replace("|", "\\|")


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{a!r}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(a) for a in arguments if types.NoneType not in (a, *get_args(a)[:1])))
    if origin is dict:
        return f"{_type(arguments[0])} -> {_type(arguments[1])}"
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__.lower()
    return {str: "text", int: "number", float: "number", bool: "true or false"}.get(annotation, "any")
