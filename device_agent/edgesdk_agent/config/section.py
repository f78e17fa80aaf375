"""What every section of the configuration is: checked once, frozen after, no unknown fields; and what a name may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import AfterValidator, ConfigDict, Field

from edgesdk_targets.errors import InputError
from edgesdk_targets.late_model import LateModel
from edgesdk_targets.topics import check_name

if TYPE_CHECKING:
    from typing_extensions import Self


class Section(LateModel):
    """A part of the configuration."""

    # pydantic's own text of an error, which a traceback shows, would quote the input, passwords included.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @classmethod
    def at_default(cls) -> Self:
        """Return the section of who says nothing; defaults are right, so that they take no check to be built."""
        return cast("Self", cls.model_construct())


def _name(value: str) -> str:
    try:
        return check_name(value, "name")
    except InputError as error:
        raise ValueError(f"{error.message} {error.hint}") from error


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
