"""Class-wise non-maximum suppression: of two boxes of one class that overlap too much, the weaker goes.

Candidates are settled in blocks, best first: a block is compared at once with all that is kept, then within itself.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array

_BLOCK = 192


def class_wise_nms(boxes: Array, scores: Array, class_ids: Array, iou_threshold: float, limit: int) -> Array:
    """Return the indices of the boxes to keep, best score first.

    Args:
        boxes: (K, 4) float32, x1 y1 x2 y2.
        scores: (K,) float32.
        class_ids: (K,) integers; boxes of different classes never suppress each other.
        iou_threshold: a box goes when its IoU with a better one of its class is greater.
        limit: keep at most so many.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if kept:
            chosen = np.asarray(kept)
            block = block[~_overlaps(boxes, class_ids, chosen, block, iou_threshold).any(axis=0)]
        overlaps = _overlaps(boxes, class_ids, block, block, iou_threshold)
        dead = np.zeros(len(block), bool)
        for i, candidate in enumerate(block.tolist()):
            if dead[i]:
                continue
            kept.append(candidate)
            if len(kept) == limit:
                return np.asarray(kept, np.int64)
            dead |= overlaps[i]
    return np.asarray(kept, np.int64)


def _overlaps(boxes: Array, class_ids: Array, first: Array, second: Array, iou_threshold: float) -> Array:
    a, b = boxes[first][:, None], boxes[second][None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    union = _areas(a) + _areas(b) - shared
    # Multiplied instead of divided: a box without area overlaps nothing.
    over: Array = shared > np.float32(iou_threshold) * union
    over &= class_ids[first][:, None] == class_ids[second][None]
    return over


def _areas(boxes: Array) -> Array:
    areas: Array = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas
