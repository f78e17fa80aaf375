"""What a detector does at the score from which its device counts a detection: precision, recall, F1, and what it takes for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.average_precision import Matched, left_out, overlaps, units_with, whole
from edgesdk.evaluate.intervals import Metric, jackknifed
from edgesdk.layouts.truth import Truth
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array

NOTHING = "nothing"
_FIGURES = ("precision", "recall", "f1")
_OVERLAP = 0.5
# A matrix of more classes is no help to read, and a long document.
_MOST_CLASSES = 100


@dataclass(frozen=True, slots=True, eq=False)
class BoxDetail:
    """What plots of a detector are drawn from, at an overlap of one half.

    Attributes:
        threshold: least score of a detection that counts.
        labels: of all classes, and `nothing` behind them.
        confusion: (C + 1, C + 1) int64, as which class (column) the boxes of each (row) were found; the last row are
            detections where nothing is, the last column boxes that were not found.
        curves: of each class that has boxes, recall and precision from the best score down, by label.
    """

    threshold: float
    labels: tuple[str, ...]
    confusion: Array
    curves: Mapping[str, tuple[Array, Array]]

    def to_json(self) -> dict[str, object]:
        return {"score_threshold": self.threshold, "confusion": confusion_json(self.labels, self.confusion)}


def confusion_json(labels: Sequence[str], counts: Array) -> dict[str, object] | None:
    """Return a confusion matrix for JSON; None where it has too many classes to be read."""
    return {"labels": list(labels), "counts": counts.tolist()} if len(labels) <= _MOST_CLASSES else None


def figures_at(
    pictures: Sequence[Matched], units: Array, threshold: float, class_id: int | None = None
) -> dict[str, Metric]:
    """Return precision, recall and F1 of the detections from a score on, with their intervals.

    A precision of no detection, or a recall of no box, is not defined.

    Args:
        units: (n,) which pictures belong together, as numbers from 0.
        class_id: of one class; None for all together.
    """
    counts = np.asarray([_counts(picture, threshold, class_id) for picture in pictures], np.float64)
    draws = np.concatenate([whole(len(pictures)), left_out(units)])
    hits, found, there = counts.T
    ratios = ((hits, found), (hits, there), (2 * hits, found + there))
    metrics = {}
    for name, (above, below) in zip(_FIGURES, ratios, strict=True):
        drawn = draws @ below
        values = np.divide(draws @ above, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
        count = units_with(below, units)
        value = float(values[0])
        metrics[name] = (
            jackknifed(value, values[1:], count) if np.isfinite(value) else Metric(np.nan, np.nan, np.nan, count)
        )
    return metrics


def precision_and_recall(pictures: Sequence[Matched], class_id: int) -> tuple[Array, Array]:
    """Return a class's recall and precision from its best detection to its weakest, (N,) each."""
    mine = [picture.class_ids == class_id for picture in pictures]
    scores = np.concatenate([picture.scores[own] for picture, own in zip(pictures, mine, strict=True)])
    hits = np.concatenate([picture.hits[own] for picture, own in zip(pictures, mine, strict=True)])
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    there = sum(picture.positives.get(class_id, 0) for picture in pictures)
    return found / max(1, there), found / np.arange(1, len(found) + 1)


def confused(pairs: Sequence[tuple[Detections, Truth]], classes: int, threshold: float) -> Array:
    """Return how often the boxes of each class were found as each, as of `BoxDetail`.

    In a picture the pair that overlaps most is taken first, whatever the classes. Crowds, and what lies in them, are left out.
    """
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for result, truth in pairs:
        strong = result.scores >= threshold
        boxes, answered = result.boxes[strong].astype(np.float64), result.class_ids[strong]
        crowd = truth.crowd if truth.crowd is not None else np.zeros(len(truth.class_ids), bool)
        shared = overlaps(boxes, truth.boxes.astype(np.float64), crowd)
        ignored = (shared[:, crowd] >= _OVERLAP).any(axis=1)
        real = np.flatnonzero(~crowd)
        free = shared[:, real]
        taken, missed = np.zeros(len(boxes), bool), np.ones(len(real), bool)
        while free.size and free.max() >= _OVERLAP:
            row, column = np.unravel_index(int(free.argmax()), free.shape)
            counts[truth.class_ids[real[column]], answered[row]] += 1
            taken[row], missed[column] = True, False
            free[row], free[:, column] = -1.0, -1.0
        counts[classes] += np.bincount(answered[~taken & ~ignored], minlength=classes + 1)
        counts[:, classes] += np.bincount(truth.class_ids[real[missed]], minlength=classes + 1)
    return counts


def _counts(picture: Matched, threshold: float, class_id: int | None) -> tuple[int, int, int]:
    """Return hits, detections and true boxes."""
    strong = picture.scores >= threshold
    if class_id is not None:
        strong &= picture.class_ids == class_id
    there = sum(picture.positives.values()) if class_id is None else picture.positives.get(class_id, 0)
    return int(picture.hits[strong].sum()), int(strong.sum()), there
