"""The section `privacy`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from edgesdk_agent.config.section import Name, Section
from edgesdk_targets.errors import InputError

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class MaskSection(Section):
    """A part of one camera's view that nobody is to see.

    Attributes:
        camera: whose.
        polygon: corners as fractions of the picture's width and height.
    """

    camera: Name
    polygon: tuple[tuple[Fraction, Fraction], ...] = Field(min_length=3, max_length=64)

    @field_validator("polygon")
    @classmethod
    def _paintable(cls, polygon: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        from edgesdk_agent.privacy.mask import Mask  # OpenCV, for who has masks

        try:
            Mask([polygon])
        except InputError as error:
            raise ValueError(f"{error.message} {error.hint}") from error
        return polygon


class PrivacySection(Section):
    """What is hidden in pictures before they leave memory; see docs/privacy.md.

    Attributes:
        masks: parts of the views that are painted black.
        mask_before_inference: the model does not see what is masked either; False masks only what leaves memory.
        blur: names of classes whose objects are made unrecognisable, by the model's labels or the second model's.
        blur_margin: of a box's size that is hidden around it.
        blur_hold_s: how long a place stays hidden after nothing is found there.
        hooks_see_all: give hooks pictures in which nothing is blurred.
    """

    masks: tuple[MaskSection, ...] = Field(default=(), max_length=256)
    mask_before_inference: bool = True
    blur: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(default=(), max_length=256)
    blur_margin: float = Field(default=0.1, ge=0.0, le=2.0)
    blur_hold_s: float = Field(default=0.5, ge=0.0, le=60.0)
    hooks_see_all: bool = False
