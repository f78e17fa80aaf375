"""Structural similarity of two pictures.

As Wang, Bovik, Sheikh and Simoncelli define it ("Image quality assessment: from error visibility to structural similarity",
2004): a Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, range 255, means over the windows that lie whole in
the picture; on luma, in double precision.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(one: Array, other: Array) -> float:
    """Return the mean similarity, at most 1, of two pictures of one size, (H, W, 3) uint8 BGR or (H, W) uint8.

    Raises:
        InputError: their sizes differ, or a side is shorter than the window.
    """
    if one.shape != other.shape:
        raise InputError(f"Pictures of {one.shape} and {other.shape} are not compared.", hint="Give them one size.")
    if min(one.shape[:2]) < _WINDOW:
        raise InputError(f"A picture of {one.shape[:2]} is smaller than SSIM's window.", hint="Leave it as it is.")
    x, y = _luma(one), _luma(other)
    mean_x, mean_y = _blurred(x), _blurred(y)
    spread_x = _blurred(x * x) - mean_x**2
    spread_y = _blurred(y * y) - mean_y**2
    shared = _blurred(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    rest = (2 * shared + _C2) / (spread_x + spread_y + _C2)
    border = _WINDOW // 2
    return float((light * rest)[border:-border, border:-border].mean())


def _luma(picture: Array) -> Array:
    """Return ITU-R BT.601's luma, not rounded."""
    if picture.ndim == 2:
        return np.asarray(picture, np.float64)
    return np.asarray(picture.astype(np.float64) @ np.asarray([0.114, 0.587, 0.299]))


def _blurred(plane: Array) -> Array:
    out: Array = cv2.GaussianBlur(plane, (_WINDOW, _WINDOW), _SIGMA)
    return out
