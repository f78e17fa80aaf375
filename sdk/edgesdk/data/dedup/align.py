"""Whether two pictures are one when the one is laid over the other: moved, and stretched by a few per cent.

A cut edge moves and stretches what is left. The map with four numbers (a factor and a shift along each side) is found by
damped Gauss-Newton steps (Lucas and Kanade, 1981), coarse to fine; where a picture shows nothing to hold on to, damping
leaves it where it is. Then both must show the same everywhere, in colour, down to their texture; and the map must be one
that cutting edges makes. OpenCV's ECC was tried: its affine map has two numbers more, and it loses plain skies and walls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# Five per cent off each side of one and nothing off the other: a factor of 0.9, and a little for the fit.
_SCALE = (0.86, 1.16)
# How far a step may stretch on the way, when little is seen yet.
_BOUNDS = (0.8, 1.25)
# What must be left of the picture when both are cut to what they share.
_SHARED = 0.7
# Sides of the picture at which the map is fitted, with steps at each.
_LEVELS = ((16, 8), (32, 6), (64, 10))
_DAMPING = 0.01
_CELLS = 16
# Mean difference in levels beyond which a coarse fit is not worth going on with.
_HOPELESS = 20.0
# What a copy may differ by, in parts of the picture's contrast and in levels; measured by benchmarks/dedup.py. A part on a
# plain ground is another picture for a small spot; at full contrast edges of a coarse JPEG differ as much.
_WORST, _WORST_LEVELS = 1.0, (8.0, 42.0)
_MEAN, _MEAN_LEVELS = 0.2, (3.0, 8.0)
_LEAST_CORRELATION = 0.97
# Texture: what a picture shows beside its patches' means. Below this many levels there is none that an encoder leaves.
_TEXTURE, _LEAST_TEXTURE = 3.0, 0.45


@dataclass(frozen=True, slots=True)
class Overlay:
    """How well two pictures fit over each other.

    Attributes:
        correlation: of the patches that they share, -1 … 1.
        worst: the greatest difference of a patch of 1/16 of a side, in levels.
        mean: the mean difference of the patches, in levels.
        contrast: standard deviation of the patches, in levels.
        texture: correlation of what is finer than the patches; None where one of the two is smooth.
    """

    correlation: float
    worst: float
    mean: float
    contrast: float
    texture: float | None

    @property
    def is_copy(self) -> bool:
        worst = min(max(_WORST * self.contrast, _WORST_LEVELS[0]), _WORST_LEVELS[1])
        mean = min(max(_MEAN * self.contrast, _MEAN_LEVELS[0]), _MEAN_LEVELS[1])
        alike = self.worst <= worst and self.mean <= mean and self.correlation >= _LEAST_CORRELATION
        return alike and (self.texture is None or self.texture >= _LEAST_TEXTURE)


def overlay(one: Array, other: Array, shorter: tuple[int, int] = (64, 64)) -> Overlay | None:
    """Lay `other` over `one`, both (64, 64, 3) uint8; None where nothing fits.

    Args:
        shorter: the shorter sides that the two had; a picture loses what it shows beyond the other's pixels.
    """
    detail = min(shorter)
    one, other = (
        _at_most(picture, detail) if side > detail else picture
        for picture, side in zip((one, other), shorter, strict=True)
    )
    grey = [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in (one, other)]
    # Factor and shift along x and y, in parts of the side, about the middle.
    found = np.asarray([1.0, 0.0, 1.0, 0.0])
    for side, steps in _LEVELS:
        pair = [cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) for picture in grey]
        if _fit(pair[0], pair[1], found, steps) > _HOPELESS:
            return None
    if not all(_SCALE[0] <= found[i] <= _SCALE[1] for i in (0, 2)):
        return None
    return _compared(one, other, _warp(found, one.shape[0]))


def _at_most(picture: Array, detail: int) -> Array:
    """Return a picture with no more detail than so many pixels a side hold."""
    side = picture.shape[0]
    if detail >= side:
        return picture
    small = cv2.resize(picture, (detail, detail), interpolation=cv2.INTER_AREA)
    out: Array = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
    return out


def _fit(one: Array, other: Array, found: Array, steps: int) -> float:
    """Improve `found`; return the mean difference that is left, in levels."""
    side = one.shape[0]
    across = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    xs, ys = np.broadcast_to(across, (side, side)), np.broadcast_to(across[:, None], (side, side))
    left = np.inf
    for _ in range(steps):
        moved, inside = _moved(other, _warp(found, side))
        error = (one - moved) * inside
        left = float(np.abs(error).sum() / max(1.0, float(inside.sum())))
        # How the moved picture changes with each number; a step of a whole side is the unit.
        dx = cv2.Sobel(moved, cv2.CV_32F, 1, 0, ksize=3, scale=side / 8) * inside
        dy = cv2.Sobel(moved, cv2.CV_32F, 0, 1, ksize=3, scale=side / 8) * inside
        slopes = np.stack([dx * xs, dx, dy * ys, dy]).reshape(4, -1)
        square = slopes @ slopes.T
        square[np.diag_indices(4)] += _DAMPING * float(np.trace(square)) / 4 + 1e-3
        step = np.linalg.solve(square, slopes @ error.reshape(-1))
        found += step.astype(np.float64)
        found[::2] = found[::2].clip(*_BOUNDS)
        if float(np.abs(step).max()) < 1e-4:
            break
    return left


def _warp(found: Array, side: int) -> Array:
    """Return the map from a pixel of the one to a place in the other, (2, 3)."""
    (sx, tx, sy, ty), middle = found, (side - 1) / 2
    shift = [middle - sx * middle + tx * side, middle - sy * middle + ty * side]
    return np.asarray([[sx, 0, shift[0]], [0, sy, shift[1]]], np.float64)


def _moved(picture: Array, warp: Array) -> tuple[Array, Array]:
    """Return a picture as it lies over the other, and 1.0 where it does."""
    side = picture.shape[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, warp, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    at = np.arange(side)
    inside = [
        (along >= 0) & (along <= side - 1) for along in (warp[0, 0] * at + warp[0, 2], warp[1, 1] * at + warp[1, 2])
    ]
    return moved, np.outer(inside[1], inside[0]).astype(np.float32)


def _compared(one: Array, other: Array, warp: Array) -> Overlay | None:
    moved, inside = _moved(other, warp)
    whole = cv2.resize(inside, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA) > 0.99
    if whole.mean() < _SHARED:
        return None
    pictures = [picture.astype(np.float32) for picture in (one, moved)]
    cells = [cv2.resize(picture, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA) for picture in pictures]
    a, b = cells[0][whole], cells[1][whole]
    difference = np.abs(a - b)
    fine = [_texture(picture, inside > 0) for picture in pictures]
    rough = all(float(texture.std()) >= _TEXTURE for texture in fine)
    return Overlay(
        correlation=_correlation(a, b),
        worst=float(difference.max()),
        mean=float(difference.mean()),
        contrast=float(a.std()),
        texture=_correlation(*fine) if rough else None,
    )


def _texture(picture: Array, inside: Array) -> Array:
    """Return what a picture shows beside its own blur, in grey, where both lie."""
    grey = picture.mean(axis=2)
    out: Array = (grey - cv2.GaussianBlur(grey, (0, 0), 2.0))[inside]
    return out


def _correlation(one: Array, other: Array) -> float:
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    return float(a @ b / max(1e-6, float(np.sqrt((a @ a) * (b @ b)))))
