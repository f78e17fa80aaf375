"""Score the sample models: boxes matched to the truth, and CTC text (numpy only)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(slots=True)
class Counts:
    """True positives, false positives and missed objects, added up over pictures."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """Share of the found objects that are there."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def recall(self) -> float:
        """Share of the objects there that were found."""
        return self.hits / max(1, self.hits + self.missed)

    def add(self, found: tuple[Array, Array, Array], boxes: Array, labels: Array, *, iou: float = 0.5) -> None:
        """Match one picture's `found` (boxes, scores, classes) to the truth, best score first, each object once."""
        free = np.ones(len(labels), bool)
        for box, label in zip(found[0], found[2], strict=True):
            overlap = _iou(box, boxes) * (free & (labels == label))
            if len(overlap) and overlap.max() >= iou:
                free[overlap.argmax()] = False
                self.hits += 1
            else:
                self.false += 1
        self.missed += int(free.sum())


def pick(boxes: Array, scores: Array, *, threshold: float, iou: float) -> tuple[Array, Array, Array]:
    """Keep the boxes above `threshold` and drop those that overlap a better one.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N, C).
        threshold: lowest score kept.
        iou: overlap from which two boxes are the same object, whatever their classes.

    Returns:
        Boxes (K, 4), scores (K,) descending and classes (K,).
    """
    best, classes = scores.max(axis=1), scores.argmax(axis=1)
    order = np.flatnonzero(best >= threshold)
    order = order[np.argsort(-best[order], kind="stable")]
    kept: list[int] = []
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][_iou(boxes[order[0]], boxes[order[1:]]) < iou]
    return boxes[kept], best[kept], classes[kept]


def greedy_text(logits: Array) -> str:
    """Read CTC logits (T, 11), blank first: equal neighbours are one digit, blanks are left out."""
    return "".join(str(symbol - 1) for symbol, _ in groupby(logits.argmax(axis=1).tolist()) if symbol)


def _iou(box: Array, boxes: Array) -> Array:
    corner = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.clip(corner, 0, None).prod(axis=1)
    area = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    overlap: Array = common / np.maximum(area - common, 1e-9)
    return overlap
