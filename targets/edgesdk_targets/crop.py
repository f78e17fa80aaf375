"""Which part of a picture the second model of a chain is shown, as data, and the arithmetic of it.

A crop is the detection's box, grown by `margin` of its width and height on each side, made square where `square` says so
(about its centre, by growing the shorter side), rounded outwards to whole pixels and clipped at the picture's border: what
lies outside is left out, so a crop at the border is smaller, and need not be square.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import ConfigDict, Field

from edgesdk_targets.late_model import LateModel
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array


class CropRule(LateModel):
    """Which detections are cropped, and how.

    Attributes:
        classes: labels of the detections that go on to the second model (a class without label is its number); all where empty.
        max_crops: of one picture, the best scores first: each costs one inference of the second model.
        margin: added on each side, as a share of the box's width and height.
        square: make the crop square.
        min_px: a detection of which a side is shorter than this, in pixels of the picture, is not cropped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    classes: tuple[str, ...] = ()
    max_crops: int = Field(default=16, ge=1, le=10_000)
    margin: float = Field(default=0.1, ge=0.0, le=10.0)
    square: bool = False
    min_px: int = Field(default=8, ge=1, le=16384)

    def chosen(self, found: Detections) -> list[int]:
        """Return the numbers of the detections that are cropped, in their order (best score first)."""
        numbers = []
        for number in range(len(found)):
            left, top, right, bottom = found.boxes[number].tolist()
            wanted = not self.classes or found.label(number) in self.classes
            if wanted and min(right - left, bottom - top) >= self.min_px:
                numbers.append(number)
        return numbers[: self.max_crops]

    def crop(self, image: Array, box: Sequence[float] | Array) -> Array:
        """Return the part of a picture that belongs to a box: a view, nothing is copied.

        Args:
            image: (H, W, 3) uint8 BGR.
            box: x1 y1 x2 y2, pixels.
        """
        left, top, right, bottom = self.window(box, (image.shape[0], image.shape[1]))
        return image[top:bottom, left:right]

    def window(self, box: Sequence[float] | Array, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom of a crop, whole pixels, the last two exclusive; at least one pixel.

        Args:
            size: height, width of the picture.
        """
        left, top, right, bottom = (float(value) for value in box)
        half_w, half_h = (0.5 + self.margin) * (right - left), (0.5 + self.margin) * (bottom - top)
        if self.square:
            half_w = half_h = max(half_w, half_h)
        x, y = (left + right) / 2, (top + bottom) / 2
        height, width = size
        first_x, first_y = _within(math.floor(x - half_w), width - 1), _within(math.floor(y - half_h), height - 1)
        last_x, last_y = _within(math.ceil(x + half_w), width), _within(math.ceil(y + half_h), height)
        return first_x, first_y, max(last_x, first_x + 1), max(last_y, first_y + 1)


def _within(value: int, largest: int) -> int:
    return min(max(value, 0), largest)
