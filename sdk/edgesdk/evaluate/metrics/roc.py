"""Area under the ROC curve of each class against all others, and the curve itself.

The area is the chance that a picture of the class scores higher than one that is not, equal scores counting half. Without a
picture of the class, or without one of another, it is not defined, and the mean over classes leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.metrics.arrays import checked, shares
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True, eq=False)
class OneVersusRest:
    """What each picture scored for each class.

    Attributes:
        scores: (n, C) float.
        positive: (n, C) bool, which classes are right for a picture.

    Raises:
        InputError: they differ in shape, are empty, or a score is no finite number.
    """

    scores: Array
    positive: Array

    def __post_init__(self) -> None:
        checked(scores=self.scores, positive=self.positive)
        if self.scores.shape != self.positive.shape or self.scores.ndim != 2:
            raise InputError(
                f"Scores of shape {self.scores.shape} do not fit labels of shape {self.positive.shape}.",
                hint="Give both as (pictures, classes).",
            )

    def areas(self, draws: Array) -> Array:
        """Return the area under each class's curve in each of the draws, (R, C); NaN where it is not defined."""
        columns = [self._area(c, draws) for c in range(self.scores.shape[1])]
        return np.stack(columns, axis=1)

    def _area(self, class_id: int, draws: Array) -> Array:
        order, starts = self._ranked(class_id)
        positive = self.positive[order, class_id]
        # Equal scores are one step of the curve.
        weights = draws[:, order].astype(np.float64)
        found = np.add.reduceat(weights * positive, starts, axis=1)
        other = np.add.reduceat(weights * ~positive, starts, axis=1)
        below = np.cumsum(other, axis=1) - other / 2
        return shares((found * below).sum(axis=1), found.sum(axis=1) * other.sum(axis=1))

    def curve(self, class_id: int) -> tuple[Array, Array]:
        """Return false positive rates and true positive rates from (0, 0) to (1, 1), one point for each distinct score.

        Rates without a picture to count are NaN.
        """
        order, starts = self._ranked(class_id)
        positive = self.positive[order, class_id]
        rates = []
        for mask in (~positive, positive):
            counts = np.cumsum(np.add.reduceat(mask.astype(np.int64), starts)[::-1])
            rates.append(shares(np.concatenate([[0], counts]), np.full(len(counts) + 1, counts[-1])))
        return rates[0], rates[1]

    def _ranked(self, class_id: int) -> tuple[Array, Array]:
        """Return the pictures by rising score, and where each distinct score begins."""
        scores = self.scores[:, class_id]
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        starts: Array = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        return order, starts
