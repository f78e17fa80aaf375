"""Classical features of a picture: light, colour, texture, shape; no model, no training.

The orientation histogram is that of HOG (Dalal and Triggs, 2005) on a grid of 4 x 4 cells without its overlapping blocks; the
texture is that of uniform local binary patterns (Ojala et al., 2002); colourfulness is Hasler and Süsstrunk's (2003).
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_SIDE = 128
_GRID = 4
_DIRECTIONS = 8
_HUES, _LIGHTS = 8, 8
_PATTERNS = 10
NAMES: tuple[str, ...] = (
    "log_area",
    "aspect",
    "brightness",
    "contrast",
    "entropy",
    "sharpness",
    "edges",
    "saturation",
    "colourfulness",
    *(f"light_{i}" for i in range(_LIGHTS)),
    *(f"hue_{i}" for i in range(_HUES)),
    *(f"pattern_{i}" for i in range(_PATTERNS)),
    *(f"direction_{r}{c}_{d}" for r in range(_GRID) for c in range(_GRID) for d in range(_DIRECTIONS)),
)


def classical_features(picture: Array) -> Array:
    """Return (len(NAMES),) float32 of a picture, (H, W, 3) uint8 BGR."""
    height, width = picture.shape[:2]
    larger = height < _SIDE or width < _SIDE
    small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
    hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    seen = share[share > 0]
    whole = [
        np.log(height * width),
        np.log(width / height),
        grey.mean() / 255,
        grey.std() / 255,
        -(seen * np.log2(seen)).sum() / 8,
        np.log1p(float(cv2.Laplacian(grey, cv2.CV_32F).var())),
        float((cv2.Canny(grey, 80, 160) > 0).mean()),
        hsv[:, :, 1].mean() / 255,
        _colourfulness(small),
    ]
    light = share.reshape(_LIGHTS, -1).sum(axis=1)
    out: Array = np.concatenate([whole, light, _hues(hsv), _patterns(grey), _directions(grey)]).astype(np.float32)
    return out


def _colourfulness(picture: Array) -> float:
    blue, green, red = (picture[:, :, i].astype(np.float32) for i in range(3))
    one, two = red - green, (red + green) / 2 - blue
    return float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean())) / 255


def _hues(hsv: Array) -> Array:
    """Return the histogram of hues, each pixel counting as much as it is saturated."""
    weights = hsv[:, :, 1].ravel() / 255
    counts = np.bincount(hsv[:, :, 0].ravel() * _HUES // 180, weights, minlength=_HUES)
    out: Array = counts / hsv[:, :, 0].size
    return out


def _patterns(grey: Array) -> Array:
    """Return the histogram of uniform local binary patterns: by how many of eight neighbours are as light; the rest as one."""
    middle = grey[1:-1, 1:-1]
    steps = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    rows, columns = middle.shape
    above = np.stack([grey[y : y + rows, x : x + columns] >= middle for y, x in steps])
    changes = (above != np.roll(above, 1, axis=0)).sum(axis=0)
    code = np.where(changes <= 2, above.sum(axis=0), _PATTERNS - 1)
    out: Array = np.bincount(code.ravel(), minlength=_PATTERNS) / code.size
    return out


def _directions(grey: Array) -> Array:
    """Return the directions of edges in each cell, weighted by their strength, each cell of length one."""
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, i, 1 - i) for i in (1, 0))
    strength, angle = cv2.cartToPolar(dx, dy)
    bins = (angle % np.pi * (_DIRECTIONS / np.pi)).astype(np.int64) % _DIRECTIONS
    cell = np.arange(_SIDE) * _GRID // _SIDE
    place = (cell[:, None] * _GRID + cell[None]) * _DIRECTIONS + bins
    counts = np.bincount(place.ravel(), strength.ravel(), minlength=_GRID * _GRID * _DIRECTIONS).reshape(
        -1, _DIRECTIONS
    )
    out: Array = (counts / (np.linalg.norm(counts, axis=1, keepdims=True) + 1e-3 * _SIDE)).ravel()
    return out
