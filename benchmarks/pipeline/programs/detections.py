"""The detector's two outputs → what it saw: one decoding for all programs but ours, which bring their own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIDE = 352
_SCORE, _IOU = 0.5, 0.45


def detections(boxes: Array, scores: Array) -> list[tuple[int, float, list[float]]]:
    """Return class, score and box of what is over the threshold and not suppressed, best first.

    Args:
        boxes: (1, N, 4) float32, x1 y1 x2 y2 in pixels of the model's input.
        scores: (1, N, C) float32.
    """
    best = scores[0].max(1)
    rows = np.flatnonzero(best > _SCORE)
    if not len(rows):
        return []
    rows = rows[np.argsort(-best[rows], kind="stable")]
    classes = scores[0][rows].argmax(1)
    chosen = boxes[0][rows]
    keep = _suppressed(chosen, classes)
    return [(int(classes[i]), float(best[rows[i]]), chosen[i].tolist()) for i in keep]


def of_outputs(outputs: dict[str, Array]) -> list[tuple[int, float, list[float]]]:
    """Return the same for outputs by name."""
    return detections(outputs["boxes"], outputs["scores"])


def _suppressed(boxes: Array, classes: Array) -> list[int]:
    """Return the places of the boxes to keep; they come best first."""
    # Apart by class: boxes of different classes are moved to where they cannot meet.
    moved = boxes + (classes * (4.0 * SIDE))[:, None].astype(np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order, kept = np.arange(len(boxes)), []
    while len(order):
        first, order = int(order[0]), order[1:]
        kept.append(first)
        low = np.maximum(moved[first, :2], moved[order, :2])
        high = np.minimum(moved[first, 2:], moved[order, 2:])
        shared = np.clip(high - low, 0, None).prod(1)
        order = order[shared <= _IOU * (areas[first] + areas[order] - shared)]
    return kept
