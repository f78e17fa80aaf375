"""Which pairs of pictures are worth a closer look: each picture's nearest by thumbnail.

A thumbnail of 16 x 16 grey values, its mean taken off and its contrast made one, hardly changes when a picture is encoded
again, resized, brightened, or cut at its edges by a few per cent.
"""

from __future__ import annotations

import numpy as np

from edgesdk.data.stream.pipeline import Progress
from edgesdk_targets.tensor import Array

NEIGHBOURS = 12
# Squared distance a grey value, in parts of the contrast: 0.7 is a correlation of 0.65.
FARTHEST = 0.7
# A contrast below this many levels is no contrast: noise is not blown up to a pattern.
_FLOOR = 6.0
_BLOCK = 1024


def normalised(thumbnails: Array) -> Array:
    """Return (N, 256) float32 from (N, 768) uint8 BGR thumbnails."""
    grey = thumbnails.reshape(len(thumbnails), -1, 3).astype(np.float32).mean(axis=2)
    grey -= grey.mean(axis=1, keepdims=True)
    out: Array = grey / np.maximum(grey.std(axis=1, keepdims=True), _FLOOR)
    return out


def near_pairs(cloud: Array, progress: Progress | None = None) -> list[tuple[int, int]]:
    """Return the pairs (i, j), i < j, of which one is among the other's nearest and not too far.

    Args:
        cloud: (N, D) float32; the whole table of distances is never in memory.
        progress: told a line from time to time: the work grows with the square of N.
    """
    squares = np.einsum("nd,nd->n", cloud, cloud)
    limit = FARTHEST * cloud.shape[1]
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(cloud), _BLOCK):
        part = cloud[start : start + _BLOCK]
        distance = squares[start : start + _BLOCK, None] + squares[None] - 2 * part @ cloud.T
        distance[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        count = min(NEIGHBOURS, len(cloud) - 1)
        if count < 1:
            break
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        close = np.take_along_axis(distance, nearest, axis=1) <= limit
        for row, place in zip(*np.nonzero(close), strict=True):
            i, j = start + int(row), int(nearest[row, place])
            pairs.add((min(i, j), max(i, j)))
        if progress is not None and len(cloud) > _BLOCK:
            progress(f"nearest of {start + len(part)} of {len(cloud)} pictures")
    return sorted(pairs)
