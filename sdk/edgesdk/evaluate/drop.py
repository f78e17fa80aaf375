"""By how much a figure dropped, the interval of the drop, and what follows for a limit.

Passed is what is known to have dropped by no more than the limit: the upper end of the one-sided 95 % interval. Failed is
what is known to have dropped by more: the lower end. Between them, more samples are needed, and how many is estimated.

Shares of samples have exact ends (`paired_proportions`). Any other figure has the jackknife's: the variance of the drop
when one picture, or one video, is left out. That alone says nothing of the rare picture that fails wholly and happens
not to be among the samples, so one such picture is added to what was seen. With nothing else seen, the end lies at
three of n samples, as it must; simulated with rare, partial, skewed and both-sided losses, a true drop equal to the limit
passes in at most 4 of a hundred cases.

AP50 hides part of a drop: where a class has few boxes, the best precision at a higher recall covers a strong false
detection up. In simulations of 27 to 400 pictures a quarter of the true drop did not show. So half of a drop that was
seen is added to its upper end; then a true drop equal to the limit passes in 2 to 5 of a hundred cases, and in up to 10
where 20 classes share 60 pictures or fewer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from edgesdk.evaluate.intervals import jackknife_variance, student
from edgesdk.evaluate.paired_proportions import chance_of_so_little, chance_of_so_much, drop_bounds
from edgesdk_targets.tensor import Array

Outcome = Literal["pass", "fail", "need more samples"]
# One lost sample that was not seen, times this and one, is the three of n that nothing lost may hide.
_ERRORS = 2.0
# Beyond so many samples the drop is as good as equal to the limit.
_MOST = 10_000_000


@dataclass(frozen=True, slots=True)
class Drop:
    """How much worse one figure became.

    Attributes:
        figure: its name, such as `top1`.
        value: as a fraction; negative where the figure became better.
        low, high: ends of the interval, each one-sided with 95 %.
        n: independent samples: pictures, or groups of pictures that belong together.
        limit: the drop that is allowed.
        spread: standard error of `value`, times the root of n.
        worst: what one sample can cost at most.
        hidden: the part of `value` that may not show in so few samples.
        changed: samples lost and won, where the figure is a share of them.
    """

    figure: str
    value: float
    low: float
    high: float
    n: int
    limit: float
    spread: float
    worst: float = 1.0
    hidden: float = 0.0
    changed: tuple[float, float] | None = None

    @property
    def p(self) -> float:
        """The chance, at most, of so great a difference to either side if there were none.

        Of shares exact (`paired_proportions`: McNemar's question without his approximation); of other figures Student's t
        of the jackknife, on the normal scale by Wallace (1959, Annals of Mathematical Statistics 30, 1121).
        """
        if self.changed is not None:
            lost, won = self.changed
            one_sided = min(chance_of_so_little(self.n, lost, won, 0.0), chance_of_so_much(self.n, lost, won, 0.0))
            return min(1.0, 2 * one_sided)
        if self.value == 0 or self.n < 2:
            return 1.0
        if self.spread == 0:
            # Every block of samples shows the same difference; that of so few says no more than their number.
            return min(1.0, 2.0 ** (1 - self.n))
        freedom = self.n - 1
        t = abs(self.value) / (self.spread / math.sqrt(self.n))
        z = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
        return 2 * (1 - NormalDist().cdf(z))

    @property
    def outcome(self) -> Outcome:
        if self.high <= self.limit:
            return "pass"
        return "fail" if self.low > self.limit else "need more samples"

    def needed(self) -> int | None:
        """Estimate how many samples in all would settle it; None where no reasonable number would."""
        if self.outcome != "need more samples":
            return self.n
        margin = self.limit - self.value
        if margin > 0:
            margin -= self.hidden * max(0.0, self.value)
        if margin == 0 or (margin < 0 < self.limit - self.value):
            return None
        # |margin| = worst / N + 2 sqrt(spread^2 / N + worst^2 / N^2), solved for the least N by halving.
        low, high = self.n, _MOST
        if _half_width(high, self.spread, self.worst) > abs(margin):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _half_width(middle, self.spread, self.worst) > abs(margin) else (low, middle)
        return high

    def to_json(self) -> dict[str, object]:
        return {
            "figure": self.figure,
            "value": round(self.value, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "n": self.n,
            "limit": self.limit,
            "outcome": self.outcome,
        }


def drop_of_shares(figure: str, lost: Array, limit: float) -> Drop:
    """Return the drop of a share of samples.

    Args:
        lost: (n,) for each independent sample 1 where it was lost, -1 where it was won, 0 where nothing changed; parts
            where a sample is a group of pictures.
    """
    n, losses, gains = len(lost), float(np.maximum(lost, 0).sum()), float(np.maximum(-lost, 0).sum())
    low, high = drop_bounds(n, losses, gains)
    return Drop(figure, float(lost.mean()), low, high, n, limit, float(lost.std()), changed=(losses, gains))


def drop_of_figure(
    figure: str, value: float, left_out: Array, n: int, limit: float, worst: float = 1.0, hidden: float = 0.0
) -> Drop:
    """Return the drop of a figure that is no share.

    Args:
        value: the drop.
        left_out: (G,) the drop without each block of samples.
        n: independent samples.
        worst: what one sample can cost at most, in samples.
        hidden: the part of a drop that may not show.
    """
    variance = jackknife_variance(left_out)
    few = student(max(1, len(left_out) - 1), one_sided=True) / student(_MOST, one_sided=True)
    half = _half_width(n, math.sqrt(variance * n), worst, few)
    high = value + half + hidden * max(0.0, value)
    return Drop(figure, value, value - half, high, n, limit, math.sqrt(variance * n), worst, hidden)


def _half_width(n: int, spread: float, worst: float, few: float = 1.0) -> float:
    return worst / n + _ERRORS * few * math.sqrt(spread**2 / n + (worst / n) ** 2)


def least_samples(limit: float, worst: float = 1.0) -> int:
    """Return about how many samples an artifact that answers everything alike needs to pass."""
    return math.ceil(3 * worst / limit)
