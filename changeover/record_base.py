"""What all parts of record.json are made of: strict models, and the few kinds of values that they hold."""

import re
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def _clean(value: Any) -> Any:
    """Text that a host printed, without terminal colours and bad bytes: it must never stop a record."""
    return _TERMINAL.sub("", value.encode("utf-8", "replace").decode()) if isinstance(value, str) else value


Verdict = Literal["pass", "fail", "error", "no_data", "inconclusive"]
Figure = Annotated[float, Field(allow_inf_nan=False)]
Output = Annotated[str, BeforeValidator(_clean)]
Time = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """Strict, frozen, nothing beside what is declared."""

    # `from` and `schema` are taken in Python: the attributes end in an underscore, the file's keys do not.
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        alias_generator=lambda name: name.rstrip("_"),
        use_attribute_docstrings=True,
    )
