"""The figures of a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers, in_pixels
from edgesdk.evaluate.average_precision import (
    Matched,
    average_precisions,
    left_out,
    match,
    match_each,
    mean_average_precision,
    true_boxes,
    units_with,
    whole,
)
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.intervals import Metric, jackknifed
from edgesdk.evaluate.label_check import doubt, next_to_nothing
from edgesdk.evaluate.labelled_classes import absent_classes
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk.evaluate.working_point import NOTHING, BoxDetail, confused, figures_at, precision_and_recall
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections, name_of
from edgesdk_targets.tensor import Array

# COCO's own thresholds of overlap, 0.5 to 0.95; the first and the sixth have figures of their own.
OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).tolist())
_AP50, _AP75 = 0, 5


def ap50(dataset: Dataset, answers: Answers, units: Array) -> Metric:
    """Return the mean average precision at an overlap of one half.

    Raises:
        InputError: the dataset holds no boxes.
    """
    pictures = [match(r.boxes, r.scores, r.class_ids, truth) for r, truth in _pairs(dataset, answers)]
    _need_boxes(pictures)
    return mean_average_precision(pictures, units)[0]


def measure_boxes(dataset: Dataset, answers: Answers, units: Array, score_threshold: float | None = None) -> Scorecard:
    """Return the figures of a detector.

    Args:
        score_threshold: from which its device counts a detection: precision, recall and F1 are of that; None leaves them out.

    Raises:
        InputError: the dataset holds no boxes.
    """
    pairs = _pairs(dataset, answers)
    each = [match_each(r.boxes, r.scores, r.class_ids, truth, OVERLAPS) for r, truth in pairs]
    at_overlap = [[picture[place] for picture in each] for place in range(len(OVERLAPS))]
    _need_boxes(at_overlap[_AP50])
    draws = np.concatenate([whole(len(units)), left_out(units)])
    curves = [average_precisions(pictures, draws) for pictures in at_overlap]
    means = np.stack([mean for mean, _ in curves])

    def metric(values: Array, class_id: int | None = None) -> Metric:
        boxes = true_boxes(at_overlap[_AP50], class_id)
        return jackknifed(float(values[0]), values[1:], units_with(boxes, units))

    metrics = {"ap50": metric(means[_AP50]), "ap75": metric(means[_AP75]), "map": metric(means.mean(axis=0))}
    per_class = {
        name_of(c, dataset.labels): {
            "ap50": metric(curves[_AP50][1][c], c),
            "map": metric(np.mean([by_class[c] for _, by_class in curves], axis=0), c),
        }
        for c in curves[_AP50][1]
    }
    by_class = {name: one["ap50"].value for name, one in per_class.items()}
    detail = None
    if score_threshold is not None:
        matched = at_overlap[_AP50]
        metrics |= figures_at(matched, units, score_threshold)
        for c in curves[_AP50][1]:
            per_class[name_of(c, dataset.labels)] |= figures_at(matched, units, score_threshold, c)
        detail = _detail(dataset, pairs, matched, sorted(curves[_AP50][1]), score_threshold)
    return Scorecard(
        dataset.task,
        metrics,
        by_class,
        per_class,
        boxes=detail,
        warnings=(
            *doubt(next_to_nothing(metrics["ap50"], "the model")),
            *absent_classes(dataset, set(curves[_AP50][1])),
        ),
    )


def _detail(
    dataset: Dataset,
    pairs: Sequence[tuple[Detections, Truth]],
    matched: Sequence[Matched],
    classes: Sequence[int],
    threshold: float,
) -> BoxDetail:
    seen = [int(ids.max()) for result, truth in pairs for ids in (result.class_ids, truth.class_ids) if len(ids)]
    count = max([len(dataset.labels), *(highest + 1 for highest in seen)])
    labels = tuple(name_of(c, dataset.labels) for c in range(count))
    curves = {labels[c]: precision_and_recall(matched, c) for c in classes}
    return BoxDetail(threshold, (*labels, NOTHING), confused(pairs, count, threshold), curves)


def _pairs(dataset: Dataset, answers: Answers) -> list[tuple[Detections, Truth]]:
    samples = cast("tuple[BoxSample, ...]", dataset.samples)
    results = cast("tuple[Detections, ...]", answers.results)
    truths = [in_pixels(sample, size) for sample, size in zip(samples, answers.sizes, strict=True)]
    return list(zip(results, truths, strict=True))


def _need_boxes(pictures: Sequence[Matched]) -> None:
    if not any(picture.positives for picture in pictures):
        raise InputError("The dataset holds no boxes.", hint="Give pictures with labelled objects.")
