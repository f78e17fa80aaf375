"""Pictures that hold nothing but darkness or light: a closed lens, a camera that starts, the sun in it."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# Video's black is 16 where its range is kept, and a sensor in the dark adds its noise.
_DARK = 32
# A lamp in a dark hall is a picture; a hot pixel is none.
_LIT_PART = 0.002
_BRIGHT = 250


class Exposure:
    """Count dark and bright cells of a sampled picture, in memory taken once."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._over: Array = np.zeros(shape, np.uint8)

    def is_black(self, grey: Array) -> bool:
        """Say whether nothing can be seen for darkness."""
        return self._part_above(grey, _DARK) < _LIT_PART

    def is_overexposed(self, grey: Array, part: float) -> bool:
        """Say whether at least `part` (0..1) of the picture is white without any detail."""
        return self._part_above(grey, _BRIGHT) >= part

    def _part_above(self, grey: Array, level: int) -> float:
        cv2.threshold(grey, level, 1, cv2.THRESH_BINARY, dst=self._over)
        return float(cv2.countNonZero(self._over)) / grey.size
