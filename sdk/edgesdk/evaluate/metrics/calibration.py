"""Expected calibration error: how far the score of the answered class is from the share of right answers.

Answers are put into bins of equal width by their score, as Naeini et al. (2015) and Guo et al. (2017) do: a bin holds
scores above its lower edge and up to its upper one, the first also 0. The error is the mean over the bins of the distance
between their share of right answers and their mean score, weighed by how many answers are in them. It depends on the
number of bins, and with few pictures it is too high: an empty bin counts nothing, and one with one answer is always wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.evaluate.metrics.arrays import checked, shares, sums_by
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one score.

    Attributes:
        low, high: its edges.
        n: how many answers.
        confidence: their mean score; NaN where there are none.
        accuracy: their share of right ones; NaN likewise.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float

    def to_json(self) -> dict[str, float | int | None]:
        known = self.n > 0
        return {
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "n": self.n,
            "confidence": round(self.confidence, 6) if known else None,
            "accuracy": round(self.accuracy, 6) if known else None,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Scores of what was answered, and whether it was right.

    Attributes:
        confidence: (n,) float, 0..1.
        right: (n,) bool.
        bins: how many.

    Raises:
        InputError: they differ in number, there are none, or a score is no probability.
    """

    confidence: Array
    right: Array
    bins: int = BINS

    def __post_init__(self) -> None:
        checked(confidence=self.confidence, right=self.right)
        if self.confidence.min() < 0 or self.confidence.max() > 1:
            raise InputError(
                f"Scores from {self.confidence.min():g} to {self.confidence.max():g} are no probabilities.",
                hint="Give the card the activation that its model needs, such as `postprocess: {activation: softmax}`.",
            )
        if self.bins < 1:
            raise InputError(f"There must be one bin or more, not {self.bins}.", hint="15 are usual.")

    def error(self, draws: Array) -> Array:
        """Return the expected calibration error in each of the draws, (R,)."""
        counts, scores, hits = self._sums(draws)
        return shares(np.abs(hits - scores).sum(axis=1), counts.sum(axis=1))

    def reliability(self) -> tuple[Bin, ...]:
        """Return the bins of the reliability diagram, lowest score first."""
        counts, scores, hits = (sums[0] for sums in self._sums(np.ones((1, len(self.right)), np.int64)))
        edges = np.linspace(0, 1, self.bins + 1)
        means, accuracies = shares(scores, counts), shares(hits, counts)
        return tuple(
            Bin(float(edges[i]), float(edges[i + 1]), int(counts[i]), float(means[i]), float(accuracies[i]))
            for i in range(self.bins)
        )

    def _sums(self, draws: Array) -> tuple[Array, Array, Array]:
        """Return how many answers, which sum of scores and how many right ones each bin has in each draw, (R, bins)."""
        place = np.searchsorted(np.linspace(0, 1, self.bins + 1)[1:-1], self.confidence)
        scores = sums_by(place, self.bins, draws * self.confidence.astype(np.float64))
        return sums_by(place, self.bins, draws), scores, sums_by(place, self.bins, draws * self.right)
