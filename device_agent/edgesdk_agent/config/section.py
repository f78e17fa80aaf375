"""What every section of the configuration is: checked once, frozen after, no unknown fields; and what a name may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from edgesdk_targets.errors import InputError
from edgesdk_targets.topics import check_name


class Section(BaseModel):
    """A part of the configuration."""

    # pydantic's own text of an error, which a traceback shows, would quote the input, passwords included.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _name(value: str) -> str:
    try:
        return check_name(value, "name")
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
