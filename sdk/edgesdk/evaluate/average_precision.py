"""Average precision as COCO defines it, for one overlap threshold, fast enough to be resampled a thousand times.

Per picture and class, detections are matched once, best score first: each takes the free true box that it overlaps
most, if their IoU reaches the threshold. A crowd box may be taken often, and what takes it counts neither way. The
precision at a recall is the best precision at that recall or a higher one; the average is over the recalls 0, 0.01 …
1; the mean is over the classes that have true boxes. There is no limit of detections a picture (COCO's is 100 a class).

Whatever leaves pictures out or draws them anew counts again only. A match does not depend on other pictures: it is done
once, and each picture gets a weight, how often it was drawn, for all draws at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.intervals import Metric, jackknifed
from edgesdk.layouts.truth import Truth
from edgesdk_targets.tensor import Array

_RECALLS = np.linspace(0, 1, 101)
# Numbers in one array while counting; more resamples are done in parts.
_CHUNK = 1 << 22
# More blocks would make the interval hardly better, and the counting slow.
_MAX_BLOCKS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """One picture's detections after matching; the crowd's are left out.

    Attributes:
        scores: (N,) float, class_ids: (N,) int64, hits: (N,) bool.
        positives: number of true boxes by class.
    """

    scores: Array
    class_ids: Array
    hits: Array
    positives: dict[int, int]


def match(boxes: Array, scores: Array, class_ids: Array, truth: Truth, iou_threshold: float = 0.5) -> Matched:
    """Match one picture's detections to its true boxes.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, pixels.
        scores: (N,).
        class_ids: (N,).
        truth: what is there.
        iou_threshold: least overlap of a hit.
    """
    return match_each(boxes, scores, class_ids, truth, (iou_threshold,))[0]


def match_each(
    boxes: Array, scores: Array, class_ids: Array, truth: Truth, iou_thresholds: Sequence[float]
) -> tuple[Matched, ...]:
    """Match one picture's detections to its true boxes once for each least overlap; see `match`."""
    order = np.argsort(-scores, kind="stable")
    boxes, scores, class_ids = boxes[order].astype(np.float64), scores[order], class_ids[order]
    crowd = truth.crowd if truth.crowd is not None else np.zeros(len(truth.class_ids), bool)
    hits = np.zeros((len(iou_thresholds), len(scores)), bool)
    ignored = np.zeros_like(hits)
    for class_id in np.unique(class_ids):
        mine = np.flatnonzero(class_ids == class_id)
        there = np.flatnonzero(truth.class_ids == class_id)
        if len(there):
            shared = overlaps(boxes[mine], truth.boxes[there].astype(np.float64), crowd[there])
            for place, threshold in enumerate(iou_thresholds):
                hits[place, mine], ignored[place, mine] = _assign(shared, crowd[there], threshold)
    classes, counts = np.unique(truth.class_ids[~crowd], return_counts=True)
    positives = dict(zip(classes.tolist(), counts.tolist(), strict=True))
    return tuple(
        Matched(scores[~out], class_ids[~out], hit[~out], positives) for hit, out in zip(hits, ignored, strict=True)
    )


def _assign(overlaps: Array, crowd: Array, iou_threshold: float) -> tuple[Array, Array]:
    """Give each detection (row, best score first) its true box; return which hit and which do not count."""
    hits, ignored = np.zeros(len(overlaps), bool), np.zeros(len(overlaps), bool)
    free = ~crowd
    for i, row in enumerate(overlaps):
        own = np.where(free, row, -1.0)
        # Of equal overlaps the last, as COCO's own evaluation takes it.
        best = len(own) - 1 - int(np.argmax(own[::-1]))
        if own[best] >= iou_threshold:
            hits[i] = True
            free[best] = False
        elif crowd.any() and row[crowd].max() >= iou_threshold:
            ignored[i] = True
    return hits, ignored


def overlaps(boxes: Array, truth: Array, crowd: Array) -> Array:
    """Return IoU (N, M); with a crowd box, the part of the detection that lies in it."""
    a, b = boxes[:, None], truth[None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    area = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    other = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    whole = np.where(crowd[None], area, area + other - shared)
    found: Array = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return found


def mean_average_precision(pictures: Sequence[Matched], units: Array | None = None) -> tuple[Metric, dict[int, float]]:
    """Return the mean over classes with its interval, and each class's own value.

    Args:
        pictures: at least one; at least one true box among them.
        units: (n,) which pictures belong together, as numbers from 0; None where each stands for itself.
    """
    units = np.arange(len(pictures)) if units is None else units
    means, by_class = average_precisions(pictures, np.concatenate([whole(len(pictures)), left_out(units)]))
    metric = jackknifed(float(means[0]), means[1:], units_with(true_boxes(pictures), units))
    return metric, {class_id: float(values[0]) for class_id, values in by_class.items()}


def average_precisions(pictures: Sequence[Matched], draws: Array) -> tuple[Array, dict[int, Array]]:
    """Return the mean over classes (R,) and each class's values (R,), NaN where no true box was drawn.

    Args:
        draws: (R, n) int64, how often each picture counts.
    """
    table = _Table.of(pictures)
    per_class = {class_id: _class_precision(table, class_id, draws) for class_id in table.classes}
    values = np.stack(list(per_class.values()))
    present = ~np.isnan(values)
    means = np.full(values.shape[1], np.nan)
    np.divide(np.where(present, values, 0).sum(axis=0), present.sum(axis=0), out=means, where=present.any(axis=0))
    return means, per_class


def whole(n: int) -> Array:
    """Return the draw that takes every picture once, (1, n)."""
    return np.ones((1, n), np.int64)


def left_out(units: Array) -> Array:
    """Return the draws that leave out one block of units each, (G, n): every unit is a block, up to 200 blocks."""
    count = int(units.max()) + 1
    blocks = units % min(count, _MAX_BLOCKS)
    draws: Array = (blocks[None] != np.arange(min(count, _MAX_BLOCKS))[:, None]).astype(np.int64)
    return draws


def units_with(parts: Array, units: Array) -> int:
    """Return how many independent pictures have a part in a figure: of a rare class the others tell nothing.

    Args:
        parts: (n,) what each picture has of the figure's denominator.
        units: (n,) which pictures belong together, as numbers from 0.
    """
    return int(np.count_nonzero(np.bincount(units, parts)))


def true_boxes(pictures: Sequence[Matched], class_id: int | None = None) -> Array:
    """Return how many true boxes each picture has, (n,): of one class, or of all."""
    return np.asarray(
        [sum(p.positives.values()) if class_id is None else p.positives.get(class_id, 0) for p in pictures], np.int64
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """All pictures' detections in one order: best score first."""

    picture: Array
    class_ids: Array
    hits: Array
    positives: dict[int, Array]

    @property
    def classes(self) -> list[int]:
        return sorted(self.positives)

    @classmethod
    def of(cls, pictures: Sequence[Matched]) -> _Table:
        picture = np.repeat(np.arange(len(pictures)), [len(p.scores) for p in pictures])
        order = np.argsort(-np.concatenate([p.scores for p in pictures]), kind="stable")
        positives: dict[int, Array] = {}
        for i, one in enumerate(pictures):
            for class_id, count in one.positives.items():
                positives.setdefault(class_id, np.zeros(len(pictures), np.int64))[i] = count
        class_ids = np.concatenate([p.class_ids for p in pictures])[order]
        return cls(picture[order], class_ids, np.concatenate([p.hits for p in pictures])[order], positives)


def _class_precision(table: _Table, class_id: int, draws: Array) -> Array:
    """Return one class's average precision in each draw, (R,) float64; NaN where no true box was drawn."""
    mine = np.flatnonzero(table.class_ids == class_id)
    hits = np.flatnonzero(table.hits[mine])
    true_boxes = draws @ table.positives[class_id]
    result = np.where(true_boxes > 0, 0.0, np.nan)
    if len(hits) == 0:
        return result
    # Behind the last hit precision only falls, and recall stays.
    mine = mine[: hits[-1] + 1]
    parts = max(1, _CHUNK // len(mine))
    for start in range(0, len(draws), parts):
        rows = slice(start, start + parts)
        counted = np.cumsum(draws[rows][:, table.picture[mine]], axis=1)[:, hits]
        found = np.cumsum(draws[rows][:, table.picture[mine[hits]]], axis=1)
        result[rows] = _interpolated(found, counted, true_boxes[rows])
    return result


def _interpolated(found: Array, counted: Array, true_boxes: Array) -> Array:
    """Average the precision over the 101 recalls.

    Args:
        found: (R, T) hits up to each hit.
        counted: (R, T) detections up to it.
        true_boxes: (R,); rows without any give NaN.
    """
    precision = found / np.maximum(counted, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(true_boxes, 1)[:, None]
    # How many of the recalls each hit is the first to reach.
    reached = np.searchsorted(_RECALLS, recall, side="right")
    firsts = np.diff(reached, axis=1, prepend=0)
    out: Array = np.where(true_boxes > 0, (best * firsts).sum(axis=1) / len(_RECALLS), np.nan)
    return out
