"""Mean squared error, mean absolute error and R² of estimated numbers.

R² is the part of the labels' variance that the answers explain: 1 is perfect, 0 is what always giving the mean has, and
worse is negative. Where all labels are the same number it is not defined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.metrics.arrays import checked, shares
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Below this part of the sum of squares, what is left of a variance is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """True and estimated numbers.

    Attributes:
        truth, answered: (n, D) float.

    Raises:
        InputError: they differ in shape, are empty, or one is no finite number.
    """

    truth: Array
    answered: Array

    def __post_init__(self) -> None:
        checked(truth=self.truth, answered=self.answered)
        if self.truth.shape != self.answered.shape or self.truth.ndim != 2:
            raise InputError(
                f"Answers of shape {self.answered.shape} do not fit labels of shape {self.truth.shape}.",
                hint="Give both as (pictures, numbers).",
            )

    def squared(self, draws: Array) -> Array:
        """Return the mean squared error of each number in each of the draws, (R, D)."""
        return self._mean((self.answered.astype(np.float64) - self.truth) ** 2, draws)

    def absolute(self, draws: Array) -> Array:
        """Return the mean absolute error of each number in each of the draws, (R, D)."""
        return self._mean(np.abs(self.answered.astype(np.float64) - self.truth), draws)

    def explained(self, draws: Array) -> Array:
        """Return R² of each number in each of the draws, (R, D); NaN where all drawn labels are one number."""
        # The variance comes from sums of squares, so what all labels have in common is taken off first.
        centred = self.truth.astype(np.float64) - self.truth.mean(axis=0, dtype=np.float64)
        squares = draws @ centred**2
        count = draws.sum(axis=1, keepdims=True)
        spread = squares - shares((draws @ centred) ** 2, count)
        spread[~(spread > _ROUNDING * squares)] = 0
        return 1 - shares(self.squared(draws) * count, spread)

    def _mean(self, errors: Array, draws: Array) -> Array:
        return shares(draws @ errors, draws.sum(axis=1, keepdims=True))
