"""Parts of a camera's view that nobody is to see: polygons, painted black in the picture itself.

Corners are fractions of the picture's width and height (0..1), so that they stay right when a stream changes its size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

Corner = tuple[float, float]
Polygon = Sequence[Corner]
# Fractions of a pixel that the fill counts in, so that a mask covers each pixel that it touches.
_SHIFT = 4


class Mask:
    """Paint polygons, in memory taken once for each size of picture.

    Args:
        polygons: each of three corners at least, (x, y) from 0 to 1.

    Raises:
        InputError: a polygon has no area, or lies outside of the picture.
    """

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        for polygon in polygons:
            if len(polygon) < 3:
                raise InputError(f"A mask has three corners at least, not {len(polygon)}.", hint="Name them all.")
            if not all(0.0 <= value <= 1.0 for corner in polygon for value in corner):
                hint = "Divide pixels by the picture's width and height."
                raise InputError("A mask's corners are fractions from 0 to 1.", hint=hint)
        self._polygons = [np.asarray(polygon, np.float64) for polygon in polygons]
        self._shape: tuple[int, ...] = ()
        self._corners: list[Array] = []

    def paint(self, image: Array) -> None:
        """Paint a picture, (H, W, 3) uint8 BGR, in place."""
        if image.shape != self._shape:
            self._shape = image.shape
            size = np.array([image.shape[1], image.shape[0]], np.float64)
            self._corners = [np.rint(polygon * size * (1 << _SHIFT)).astype(np.int32) for polygon in self._polygons]
        for corners in self._corners:
            cv2.fillPoly(image, [corners], (0, 0, 0), lineType=cv2.LINE_8, shift=_SHIFT)
