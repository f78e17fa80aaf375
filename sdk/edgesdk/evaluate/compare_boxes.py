"""Two detectors on the same labelled pictures.

The main figure is AP50, for which every detection counts by its rank. Ranks do not move when all scores shrink, but on
the device a threshold decides: so F1 and each class's recall are taken at the deployed threshold too.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers, in_pixels
from edgesdk.evaluate.average_precision import Matched, average_precisions, left_out, match, whole
from edgesdk.evaluate.collapse import ClassDrop, blind_warning, judged
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import Drop, drop_of_figure
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.intervals import Metric, between, jackknifed, resampled_counts
from edgesdk.evaluate.label_check import next_to_nothing, slipped
from edgesdk.evaluate.labelled_classes import absent_classes
from edgesdk.evaluate.limits import Limits
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Detections, name_of
from edgesdk_targets.tensor import Array

# The part of a drop of AP that few boxes may hide; see `drop`.
HIDDEN = 0.5
_WEAKEST_SHOWN = 0.05
# Of the paired bootstrap, which is shown beside the jackknife and decides nothing.
_RESAMPLES = 400


def compare_boxes(dataset: Dataset, reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    """Compare two detectors by AP50, and by F1 and recall at the deployed threshold.

    Raises:
        InputError: the dataset holds no boxes.
    """
    samples = cast("tuple[BoxSample, ...]", dataset.samples)
    truths = [in_pixels(sample, size) for sample, size in zip(samples, reference.sizes, strict=True)]
    found = [cast("tuple[Detections, ...]", one.results) for one in (reference, artifact)]
    matched = [[match(r.boxes, r.scores, r.class_ids, t) for r, t in zip(rs, truths, strict=True)] for rs in found]
    if not any(picture.positives for picture in matched[0]):
        raise InputError("The dataset holds no boxes.", hint="Give pictures with labelled objects.")
    counts = [np.stack([_counts(p, limits.score_threshold) for p in pictures]) for pictures in matched]
    drop, metrics = _precision_drop(matched, units, limits.max_drop)
    f1, f1_metrics = f1_drop("f1", counts, units, limits.class_floor)
    classes = judged(_recalls(matched, units, limits.score_threshold, dataset.labels), limits.class_floor)
    of_pictures = [_f1_of_each(c) for c in counts]
    return Comparison(
        drop=drop,
        reference={"ap50": metrics[0], "f1": f1_metrics[0]},
        artifact={"ap50": metrics[1], "f1": f1_metrics[1], "ap50_drop_by_bootstrap": metrics[2]},
        further=(f1,),
        classes=classes,
        scores={"detection scores": (_shown_scores(found[0]), _shown_scores(found[1]))},
        harm=of_pictures[0] - of_pictures[1],
        warnings=(
            *absent_classes(dataset, {c for picture in matched[0] for c in picture.positives}),
            *blind_warning(classes),
        ),
        misplaced=_misplaced(found[0], truths, of_pictures[0], metrics[0], limits.score_threshold),
    )


def _precision_drop(
    matched: list[list[Matched]], units: Array, limit: float
) -> tuple[Drop, tuple[Metric, Metric, Metric]]:
    """Return the drop of AP50 with both figures, and the drop by the paired bootstrap."""
    n, count = len(units), int(units.max()) + 1
    drawn = resampled_counts(count, _RESAMPLES)
    draws = np.concatenate([whole(n), left_out(units), drawn[:, units]])
    before, after = (average_precisions(pictures, draws)[0] for pictures in matched)
    without = slice(1, len(draws) - _RESAMPLES)
    value = float(before[0] - after[0])
    # A picture that is lost wholly costs what the float model had of it.
    drop = drop_of_figure("ap50", value, before[without] - after[without], count, limit, float(before[0]), HIDDEN)
    figures = [jackknifed(float(means[0]), means[without], count) for means in (before, after)]
    resampled = between(before[-_RESAMPLES:] - after[-_RESAMPLES:], value, count)
    return drop, (figures[0], figures[1], resampled)


def f1_drop(figure: str, counts: list[Array], units: Array, limit: float) -> tuple[Drop, tuple[Metric, Metric]]:
    """Return the drop of F1 over all pictures, and both figures.

    Args:
        counts: of each model (n, 3): hits, detections, true boxes.
    """
    blocks = left_out(units).astype(float)
    wholes = [f1_of(c.sum(axis=0)) for c in counts]
    without = [f1_of(blocks @ c) for c in counts]
    count = int(units.max()) + 1
    metrics = [jackknifed(float(w), o, count) for w, o in zip(wholes, without, strict=True)]
    drop = drop_of_figure(figure, float(wholes[0] - wholes[1]), without[0] - without[1], count, limit)
    return drop, (metrics[0], metrics[1])


def f1_of(counts: Array) -> Array:
    """Return F1 of hits, detections and true boxes, (..., 3); 1 where there is nothing to find and nothing found."""
    both = counts[..., 1] + counts[..., 2]
    f1: Array = np.divide(2.0 * counts[..., 0], both, out=np.ones(both.shape), where=both > 0)
    return f1


def _f1_of_each(counts: Array) -> Array:
    return f1_of(counts.astype(float))


def _counts(picture: Matched, threshold: float) -> Array:
    """Return hits, detections and true boxes of one picture at a threshold; the stronger are matched first anyway."""
    strong = picture.scores >= threshold
    return np.asarray([int(picture.hits[strong].sum()), int(strong.sum()), sum(picture.positives.values())])


def _recalls(matched: list[list[Matched]], units: Array, threshold: float, labels: tuple[str, ...]) -> list[ClassDrop]:
    """Return what each class lost of its recall; a unit with several of its boxes counts once."""
    classes = sorted({c for picture in matched[0] for c in picture.positives})
    found = []
    for c in classes:
        mine = [i for i, picture in enumerate(matched[0]) if picture.positives.get(c)]
        own = np.unique(units[mine], return_inverse=True)[1]
        before, after = (
            mean_by_unit(np.asarray([_recall(pictures[i], c, threshold) for i in mine]), own) for pictures in matched
        )
        lost = before - after
        found.append(
            ClassDrop(
                name_of(c, labels),
                float(before.mean()),
                float(after.mean()),
                len(lost),
                float(np.maximum(lost, 0).sum()),
                float(np.maximum(-lost, 0).sum()),
            )
        )
    return found


def _recall(picture: Matched, class_id: int, threshold: float) -> float:
    hits = picture.hits & (picture.scores >= threshold) & (picture.class_ids == class_id)
    return float(hits.sum()) / picture.positives[class_id]


def _shown_scores(results: tuple[Detections, ...]) -> Array:
    """Return the scores of all detections that are more than noise."""
    scores = np.concatenate([result.scores for result in results]).astype(np.float64)
    return np.asarray(scores[scores >= _WEAKEST_SHOWN])


def _misplaced(
    found: tuple[Detections, ...], truths: list[Truth], fits: Array, reference: Metric, threshold: float
) -> str:
    def fit_with(i: int, j: int) -> float:
        result = found[i]
        return float(f1_of(_counts(match(result.boxes, result.scores, result.class_ids, truths[j]), threshold)))

    # A picture without objects fits every other without.
    has_boxes = np.asarray([len(truth.boxes) > 0 for truth in truths])
    return slipped(np.where(has_boxes, fits, 1.0), fit_with) or next_to_nothing(reference)
