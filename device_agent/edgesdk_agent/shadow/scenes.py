"""Which frames begin something new: those that look alike, or follow each other closely, say the same thing again."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array

_SIDE = 16
# Each point of a thumbnail is the mean of so many by so many pixels at most.
_PIXELS = 8
# Mean difference of two thumbnails in parts of their contrast, below which they show the same, but for noise.
_SAME = 0.02


class Scenes:
    """Tells frames apart, camera by camera.

    Args:
        apart_s: what comes sooner after the beginning of a scene belongs to it.
    """

    def __init__(self, apart_s: float) -> None:
        self._apart_s = apart_s
        self._begun: dict[str, tuple[float, Array]] = {}

    def begins(self, camera: str, at: float, image: Array) -> bool:
        """Say whether a picture (H, W, 3) uint8, captured at monotonic seconds, shows something else than those before."""
        seen = thumbnail(image)
        known = self._begun.get(camera)
        if known is not None and (at - known[0] < self._apart_s or _same(known[1], seen)):
            return False
        self._begun[camera] = at, seen
        return True


def thumbnail(image: Array) -> Array:
    """Return a small grey copy of a picture, as (16, 16) float32."""
    height, width = image.shape[:2]
    rows, columns = (np.linspace(0, size - 1, _SIDE * min(_PIXELS, max(1, size // _SIDE))) for size in (height, width))
    points = image[np.rint(rows).astype(int)[:, None], np.rint(columns).astype(int)].mean(axis=2, dtype=np.float32)
    tiles = points.reshape(_SIDE, len(rows) // _SIDE, _SIDE, len(columns) // _SIDE)
    return np.asarray(tiles.mean(axis=(1, 3)), np.float32)


def _same(one: Array, other: Array) -> bool:
    apart = float(np.sqrt(np.mean((one - other) ** 2)))
    return apart <= _SAME * min(float(one.std()), float(other.std()))
