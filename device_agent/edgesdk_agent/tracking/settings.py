"""When a detection is taken for an object, and how long an object that is not seen is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from edgesdk_targets.errors import InputError
from edgesdk_targets.field_problems import field_problems, what_fits
from edgesdk_targets.late_model import LateModel

if TYPE_CHECKING:
    from typing_extensions import Self


class Settings(LateModel):
    """Fields that a configuration or an application gives."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def checked(cls, fields: Mapping[str, Any], what: str) -> Self:
        """Return the settings of an application's own fields.

        Raises:
            InputError: one of them is unknown or wrong; the message names `what` and the field.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            problem = field_problems(cls, error)[0]
            hint = problem.hint or what_fits(cls, problem.path)
            raise InputError(f"{what}: {problem.sentence}", hint=hint) from error


class TrackerSettings(Settings):
    """How a tracker decides.

    Attributes:
        high_score: detections from this score on are looked for an object first, and may be a new one.
        low_score: weaker ones down to this may still continue an object that was seen in the frame before.
        new_score: a new object begins with no less; `high_score` unless given.
        lost_s: an object that is not seen for so long is followed no more.
        confirm_frames: a new object counts when it was seen in so many frames in a row.
        across_classes: what the overlap with a detection of another class is worth, 0..1: 0 never takes it for the
            same object, 1 takes no notice of classes. What an object is, most of its detections say.
    """

    high_score: float = Field(default=0.5, ge=0, le=1)
    low_score: float = Field(default=0.1, ge=0, le=1)
    new_score: float | None = Field(default=None, ge=0, le=1)
    lost_s: float = Field(default=1.0, gt=0, le=3600)
    confirm_frames: int = Field(default=2, ge=1, le=100)
    across_classes: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _weak_is_below_strong(self) -> TrackerSettings:
        if self.low_score > self.high_score:
            raise ValueError(f"low_score, {self.low_score:g}, is above high_score, {self.high_score:g}")
        return self
