"""The figures of embeddings and of estimated numbers."""

from __future__ import annotations

from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.label_check import doubt, misplaced_values
from edgesdk.evaluate.labelled_classes import class_numbers
from edgesdk.evaluate.metrics.arrays import shares
from edgesdk.evaluate.metrics.bootstrap import bootstrapped, share
from edgesdk.evaluate.metrics.numbers import Estimates
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk.evaluate.vectors import checked_width, lonely_classes, nearest_is_right, true_spread, unit_vectors
from edgesdk.layouts.samples import ValueSample
from edgesdk_targets.results import Embedding, Regression, name_of
from edgesdk_targets.tensor import Array

_SHOWN = 8


def retrieval_top1(dataset: Dataset, answers: Answers, units: Array) -> Metric:
    """Return the share of pictures whose nearest other one is of the same class.

    Raises:
        InputError: all pictures are of one class, or the vectors differ in length.
    """
    return share(_found(dataset, answers, units), units)


def measure_embeddings(dataset: Dataset, answers: Answers, units: Array) -> Scorecard:
    """Return the figures of an embedder.

    Raises:
        InputError: all pictures are of one class, or the vectors differ in length.
    """
    right, classes = _found(dataset, answers, units), class_numbers(dataset)
    by_class = {name_of(int(c), dataset.labels): float(right[classes == c].mean()) for c in np.unique(classes)}
    metrics = {"retrieval_top1": share(right, units)}
    return Scorecard(dataset.task, metrics, by_class, warnings=_lonely(dataset, classes, units))


def _found(dataset: Dataset, answers: Answers, units: Array) -> Array:
    vectors = unit_vectors([result.vector for result in cast("tuple[Embedding, ...]", answers.results)])
    return nearest_is_right(vectors, class_numbers(dataset), units)


def _lonely(dataset: Dataset, classes: Array, units: Array) -> tuple[str, ...]:
    alone = [name_of(c, dataset.labels) for c in lonely_classes(classes, units)]
    if not alone:
        return ()
    return (
        f"Only one independent picture of {', '.join(alone[:_SHOWN])}: it can never be found, and counts as wrong.",
    )


def mae(dataset: Dataset, answers: Answers, units: Array) -> Metric:
    """Return the mean absolute error, mean over the numbers.

    Raises:
        InputError: there is not one label for each number.
    """
    estimates = _estimates(dataset, answers)
    (metric,) = bootstrapped(lambda draws: estimates.absolute(draws).mean(axis=1)[:, None], units, is_share=False)
    return metric


def measure_values(dataset: Dataset, answers: Answers, units: Array) -> Scorecard:
    """Return the figures of an estimator of numbers.

    Raises:
        InputError: there is not one label for each number.
    """
    estimates = _estimates(dataset, answers)
    width = estimates.truth.shape[1]
    spread = true_spread(estimates.truth)

    def figures(draws: Array) -> Array:
        absolute, squared = estimates.absolute(draws), estimates.squared(draws)
        of_each = [absolute, squared, np.sqrt(squared), estimates.explained(draws)]
        relative = shares(absolute, spread[None])
        # A mean over the numbers of which one is not defined is not, either.
        means = np.stack([table.mean(axis=1) for table in (*of_each, relative)], axis=1)
        return np.concatenate([means, *of_each], axis=1)

    found = bootstrapped(figures, units, is_share=False)
    names = ("mae", "mse", "rmse", "r2")
    metrics = dict(zip((*names, "relative_error"), found, strict=False))
    labels = [name_of(i, dataset.labels) for i in range(width)]
    per_name = {
        label: {name: found[len(names) + 1 + place * width + i] for place, name in enumerate(names)}
        for i, label in enumerate(labels)
    }
    if metrics["relative_error"].is_defined:
        misplaced = misplaced_values(
            estimates.answered, estimates.truth, spread, metrics["relative_error"], "the model"
        )
        warnings = doubt(misplaced)
    else:
        alike = ", ".join(labels[i] for i in np.flatnonzero(spread == 0))
        warnings = (f"All labels of {alike} are the same number: a model that always gives it would look perfect.",)
    by_name = {label: one["mae"].value for label, one in per_name.items()}
    return Scorecard(dataset.task, metrics, by_name, per_name, warnings=warnings)


def _estimates(dataset: Dataset, answers: Answers) -> Estimates:
    truth = np.asarray([sample.values for sample in cast("tuple[ValueSample, ...]", dataset.samples)], np.float64)
    values = [result.values for result in cast("tuple[Regression, ...]", answers.results)]
    checked_width(truth.shape[1], len(values[0]))
    return Estimates(truth, np.stack(values).astype(np.float64))
