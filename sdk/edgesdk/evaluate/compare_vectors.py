"""Two embedders, or two estimators of numbers, on the same pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.collapse import blind_warning, judged
from edgesdk.evaluate.compare_classes import class_drops
from edgesdk.evaluate.compare_texts import ratio_drop
from edgesdk.evaluate.comparison import Comparison
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import drop_of_shares
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.intervals import proportion
from edgesdk.evaluate.label_check import misplaced_values
from edgesdk.evaluate.labelled_classes import class_numbers
from edgesdk.evaluate.limits import Limits
from edgesdk.evaluate.vectors import checked_width, nearest_is_right, true_spread, unit_vectors
from edgesdk.layouts.samples import ValueSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Embedding, Regression
from edgesdk_targets.tensor import Array


def compare_embeddings(
    dataset: Dataset, reference: Answers, artifact: Answers, units: Array, limits: Limits
) -> Comparison:
    """Compare two embedders by whether the nearest other picture is of the same class.

    Raises:
        InputError: all pictures are of one class.
    """
    classes = class_numbers(dataset)
    vectors = [
        unit_vectors([result.vector for result in cast("tuple[Embedding, ...]", one.results)])
        for one in (reference, artifact)
    ]
    before, after = (nearest_is_right(table, classes, units) for table in vectors)
    lost = before.astype(float) - after.astype(float)
    by_class = judged(class_drops(classes, before, after, units, dataset.labels), limits.class_floor)
    count = int(units.max()) + 1
    cosines = (vectors[0] * vectors[1]).sum(axis=1)
    # What a nearest neighbour drawn at random would have.
    chance = float(sum((classes == c).mean() ** 2 for c in np.unique(classes)))
    error = float(np.sqrt(chance * (1 - chance) / len(classes)))
    guessing = len(classes) >= 5 and float(before.mean()) <= chance + 2 * error
    return Comparison(
        drop=drop_of_shares("retrieval_top1", mean_by_unit(lost, units), limits.max_drop),
        reference={"retrieval_top1": proportion(float(mean_by_unit(before, units).sum()), count)},
        artifact={"retrieval_top1": proportion(float(mean_by_unit(after, units).sum()), count)},
        classes=by_class,
        scores={"cosine to the float model's": (np.ones(len(cosines)), cosines)},
        harm=lost + (1 - cosines) / 2,
        warnings=(*scorecard(dataset, reference).warnings, *blind_warning(by_class)),
        misplaced=f"the float model itself finds the same class in {before.mean():.0%}, no more than by chance"
        if guessing
        else "",
    )


def compare_values(dataset: Dataset, reference: Answers, artifact: Answers, units: Array, limits: Limits) -> Comparison:
    """Compare two estimators by their mean absolute error, in parts of how much the true numbers differ.

    Raises:
        InputError: there is not one label for each number, or all labels are alike.
    """
    truth = np.asarray([sample.values for sample in cast("tuple[ValueSample, ...]", dataset.samples)], np.float64)
    values = [
        np.stack([result.values for result in cast("tuple[Regression, ...]", one.results)]).astype(np.float64)
        for one in (reference, artifact)
    ]
    for table in values:
        checked_width(truth.shape[1], table.shape[1])
    spread = true_spread(truth)
    if (spread <= 0).any():
        raise InputError(
            "All labels of a number are the same: nothing can be lost there.", hint="Give pictures that differ in it."
        )
    errors = [(np.abs(table - truth) / spread).mean(axis=1) for table in values]
    cards = [scorecard(dataset, one) for one in (reference, artifact)]

    return Comparison(
        drop=ratio_drop("relative_error", errors[1] - errors[0], np.ones(len(truth)), units, limits.max_drop),
        reference=cards[0].metrics,
        artifact=cards[1].metrics,
        scores={
            (dataset.labels[i] if i < len(dataset.labels) else f"value {i}"): (values[0][:, i], values[1][:, i])
            for i in range(min(truth.shape[1], 4))
        },
        harm=errors[1] - errors[0],
        warnings=cards[0].warnings,
        misplaced=misplaced_values(values[0], truth, spread, cards[0].metrics["relative_error"]),
    )
