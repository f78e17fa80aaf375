"""Two classifiers on the same pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.collapse import ClassDrop, blind_warning, judged
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import drop_of_shares
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.intervals import proportion
from edgesdk.evaluate.label_check import misplaced_classes
from edgesdk.evaluate.labelled_classes import absent_classes, class_numbers
from edgesdk.evaluate.limits import Limits
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.results import Classification, name_of
from edgesdk_targets.tensor import Array


def compare_classes(
    dataset: Dataset, reference: Answers, artifact: Answers, units: Array, limits: Limits
) -> Comparison:
    """Compare two classifiers by top-1, overall and by class."""
    samples = cast("tuple[ClassSample, ...]", dataset.samples)
    accepted = [sample.accepted for sample in samples]
    answered = [cast("tuple[Classification, ...]", one.results) for one in (reference, artifact)]
    before, after = (
        np.asarray([int(r.class_ids[0]) in a for r, a in zip(results, accepted, strict=True)]) for results in answered
    )
    lost = before.astype(float) - after.astype(float)
    classes = judged(class_drops(class_numbers(dataset), before, after, units, dataset.labels), limits.class_floor)
    count = int(units.max()) + 1
    predicted = [int(r.class_ids[0]) for r in answered[0]]
    truth_scores = [
        np.asarray([_score_of(r, a) for r, a in zip(results, accepted, strict=True)]) for results in answered
    ]
    return Comparison(
        drop=drop_of_shares("top1", mean_by_unit(lost, units), limits.max_drop),
        reference={"top1": proportion(float(mean_by_unit(before, units).sum()), count)},
        artifact={"top1": proportion(float(mean_by_unit(after, units).sum()), count)},
        classes=classes,
        scores={"score of the best class": (_best(answered[0]), _best(answered[1]))},
        harm=lost + (truth_scores[0] - truth_scores[1]) / 2,
        warnings=(*absent_classes(dataset, {min(a) for a in accepted}), *blind_warning(classes)),
        misplaced=misplaced_classes(predicted, accepted, len(dataset.labels)),
    )


def class_drops(classes: Array, before: Array, after: Array, units: Array, labels: tuple[str, ...]) -> list[ClassDrop]:
    """Return what each class lost.

    Args:
        classes: (n,) of each picture.
        before, after: (n,) bool, right before and after.
        units: (n,) which pictures belong together.
    """
    found = []
    for c in np.unique(classes):
        mine = classes == c
        own = np.unique(units[mine], return_inverse=True)[1]
        lost = mean_by_unit(before[mine].astype(float) - after[mine], own)
        found.append(
            ClassDrop(
                name_of(int(c), labels),
                float(mean_by_unit(before[mine], own).mean()),
                float(mean_by_unit(after[mine], own).mean()),
                len(lost),
                float(np.maximum(lost, 0).sum()),
                float(np.maximum(-lost, 0).sum()),
            )
        )
    return found


def _best(results: tuple[Classification, ...]) -> Array:
    return np.nan_to_num(np.asarray([result.scores[0] for result in results], np.float64))


def _score_of(result: Classification, accepted: frozenset[int]) -> float:
    """Return the score of the right class; 0 where it is not among the classes that were answered."""
    for class_id, score in zip(result.class_ids.tolist(), result.scores.tolist(), strict=True):
        if class_id in accepted:
            return float(score)
    return 0.0
