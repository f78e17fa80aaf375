"""Figures of repeated timings (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# The medians of two windows that follow each other differ by no more than this share: the model is warm.
STEADY_WITHIN = 0.05


@dataclass(frozen=True, slots=True)
class Latency:
    """Of single runs, milliseconds.

    Attributes:
        n: how many runs were timed.
    """

    p50: float
    p95: float
    p99: float
    mean: float
    n: int

    def to_json(self) -> dict[str, float | int]:
        figures = {"p50": self.p50, "p95": self.p95, "p99": self.p99, "mean": self.mean}
        return {**{name: float(f"{value:.4g}") for name, value in figures.items()}, "n": self.n}


def latency(seconds: Sequence[float]) -> Latency:
    """Summarise at least one run."""
    ms = np.asarray(seconds, np.float64) * 1000
    p50, p95, p99 = (float(value) for value in np.percentile(ms, (50, 95, 99)))
    return Latency(p50, p95, p99, float(ms.mean()), len(ms))


def is_steady(before: Sequence[float], after: Sequence[float]) -> bool:
    """Tell whether two windows of runs take the same time."""
    first, second = float(np.median(before)), float(np.median(after))
    return abs(first - second) <= STEADY_WITHIN * max(first, second)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long one takes as another, round by round.

    Attributes:
        value: median over the rounds.
        low, high: smallest and largest of the rounds; where 1 lies between them, there is no difference to be seen.
    """

    value: float
    low: float
    high: float

    @property
    def slower(self) -> bool:
        return self.low > 1.0

    @property
    def faster(self) -> bool:
        return self.high < 1.0

    def to_json(self) -> dict[str, float]:
        return {"value": round(self.value, 3), "low": round(self.low, 3), "high": round(self.high, 3)}


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Divide the rounds of one by the same rounds of the other, at least one."""
    shares = np.asarray(one, np.float64) / np.asarray(other, np.float64)
    return Ratio(float(np.median(shares)), float(shares.min()), float(shares.max()))
