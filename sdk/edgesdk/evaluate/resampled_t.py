"""Whether two ways to train differ by more than chance, by their figures on the folds of a cross-validation (pure).

The models of two folds have learnt from mostly the same pictures, so that their figures vary less than those of trainings on other
pictures would, and Student's paired t test finds differences that are none. The variance is therefore taken 1/K + (share to test) /
(share to train) times, and not 1/K (C. Nadeau and Y. Bengio 2003, Inference for the generalization error, Machine
Learning 52, 239).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class FoldTest:
    """The paired difference over folds.

    Attributes:
        mean, sd: of the differences, fold by fold.
        p: chance of such a mean difference or a larger one, in either direction, if there were none; 1 where the folds tell
            nothing.
    """

    mean: float
    sd: float
    p: float


def resampled_t(one: Sequence[float], other: Sequence[float]) -> FoldTest:
    """Compare figures on the same folds, at least two.

    Args:
        one, other: fold by fold; each fold is the test set of a training on all others.
    """
    differences = np.subtract(one, other)
    folds = len(differences)
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    # Differences that are all the same do not say how much they would vary.
    if not math.isfinite(sd) or sd < 1e-12:
        return FoldTest(mean, sd, 1.0)
    t = mean / (sd * math.sqrt(1 / folds + 1 / (folds - 1)))
    return FoldTest(mean, sd, two_sided(t, folds - 1))


def two_sided(t: float, freedom: int) -> float:
    """Return the chance that Student's t of so many whole degrees of freedom lies at least so far from 0.

    By the finite series of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    inside = 0.0
    for power in range(odd, freedom - 1, 2):
        inside += term
        term *= cosine**2 * (power + 1) / (power + 2)
    within = (2 / math.pi) * (angle + sine * inside) if odd else sine * inside
    return min(1.0, max(0.0, 1.0 - within))
