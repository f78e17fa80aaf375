"""Accuracy, balanced accuracy, precision, recall and F1 of answers of which each is one class.

Of a class, precision is the share of right ones among its answers, recall among its pictures, and F1 is their harmonic
mean, 2 hits / (answers + pictures). Precision of a class never answered and recall of a class without pictures are not
defined; F1 is not where both are missing, and 0 where only one is. A macro figure is the mean of what is defined
(scikit-learn's `zero_division=nan`). Every picture has one class and gets one answer, so the micro figures, which count over
all classes at once, are the accuracy; balanced accuracy is macro recall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.metrics.arrays import checked, defined_mean, shares, sums_by
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class ClassFigures:
    """The figures in each draw, NaN where one is not defined.

    Attributes:
        accuracy, balanced_accuracy, precision_macro, f1_macro: (R,) float64.
        precision, recall, f1: (R, C) float64.
    """

    accuracy: Array
    balanced_accuracy: Array
    precision_macro: Array
    f1_macro: Array
    precision: Array
    recall: Array
    f1: Array


@dataclass(frozen=True, slots=True, eq=False)
class ClassOutcomes:
    """What each picture shows, and what was answered.

    Attributes:
        truth, answered: (n,) int64, 0..classes-1.
        classes: how many there are.

    Raises:
        InputError: they differ in number, there are none, or one is no class.
    """

    truth: Array
    answered: Array
    classes: int

    def __post_init__(self) -> None:
        checked(truth=self.truth, answered=self.answered)
        for name, ids in (("label", self.truth), ("answer", self.answered)):
            wrong = ids[(ids < 0) | (ids >= self.classes)]
            if ids.dtype.kind not in "iu" or len(wrong):
                which = wrong[0] if len(wrong) else ids.dtype
                raise InputError(f"A {name} is no class of {self.classes}: {which}.", hint="Count classes from 0.")

    def figures(self, draws: Array) -> ClassFigures:
        """Return the figures in each of the draws, (R, n) how often each picture counts."""
        right = self.truth == self.answered
        pictures = sums_by(self.truth, self.classes, draws)
        answers = sums_by(self.answered, self.classes, draws)
        hits = sums_by(self.truth[right], self.classes, draws[:, right])
        precision, recall, f1 = shares(hits, answers), shares(hits, pictures), shares(2 * hits, pictures + answers)
        return ClassFigures(
            accuracy=shares(hits.sum(axis=1), pictures.sum(axis=1)),
            balanced_accuracy=defined_mean(recall),
            precision_macro=defined_mean(precision),
            f1_macro=defined_mean(f1),
            precision=precision,
            recall=recall,
            f1=f1,
        )

    def confusion(self) -> Array:
        """Return how often each class (row) was answered with each (column), (C, C) int64."""
        pairs = np.bincount(self.truth * self.classes + self.answered, minlength=self.classes**2)
        return pairs.reshape(self.classes, self.classes)
