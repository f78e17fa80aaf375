"""How far two boxes are the same one: intersection over union, every pair at once."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array


def overlaps(one: Array, other: Array) -> Array:
    """Return the intersection over union of each pair, (R, C) float, 0..1.

    Args:
        one: (R, 4) x1 y1 x2 y2.
        other: (C, 4) likewise.
    """
    shared = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared -= np.maximum(one[:, None, :2], other[None, :, :2])
    np.maximum(shared, 0.0, out=shared)
    both: Array = shared[..., 0] * shared[..., 1]
    union = _areas(one)[:, None] + _areas(other)[None, :]
    union -= both
    # A box without an area overlaps nothing.
    np.maximum(union, np.finfo(union.dtype).tiny, out=union)
    both /= union
    return both


def _areas(boxes: Array) -> Array:
    areas: Array = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
