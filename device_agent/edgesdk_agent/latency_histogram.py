"""Percentiles of durations in bounded memory: bins whose width grows with the value.

A quantile is right to 1 % of itself, whether that is a microsecond or a minute, and a histogram never grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import log as _log

_SHORTEST_S = 1e-6
_GROWTH = 1.02
_BINS_PER_E = 1.0 / math.log(_GROWTH)
_BINS = 1 + math.ceil(math.log(1e4 / _SHORTEST_S) * _BINS_PER_E)
_FIRST_BIN = math.log(_SHORTEST_S) * _BINS_PER_E


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of a set of durations, seconds; None where there were none."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    def to_ms(self) -> dict[str, float | None]:
        """Return them in milliseconds, rounded to a microsecond."""
        values = {"p50": self.p50, "p95": self.p95, "p99": self.p99}
        return {name: None if value is None else round(value * 1e3, 3) for name, value in values.items()}


class LatencyHistogram:
    """Count durations between a microsecond and 10,000 s; what lies outside counts at the edge."""

    def __init__(self) -> None:
        self._counts = [0] * _BINS

    def __len__(self) -> int:
        return sum(self._counts)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        index = 0 if seconds <= _SHORTEST_S else int(_log(seconds) * _BINS_PER_E - _FIRST_BIN)
        self._counts[index if index < _BINS else -1] += 1

    def merge(self, other: LatencyHistogram) -> None:
        """Add what another histogram counted."""
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]

    def since(self, before: LatencyHistogram) -> LatencyHistogram:
        """Return what was counted after `before`, an earlier copy of this."""
        later = LatencyHistogram()
        later._counts = [a - b for a, b in zip(self._counts, before._counts, strict=True)]
        return later

    def percentiles(self) -> Percentiles:
        """Return p50, p95 and p99 of what was counted."""
        total = len(self)
        if not total:
            return Percentiles()
        return Percentiles(*(self._quantile(q, total) for q in (0.50, 0.95, 0.99)))

    def _quantile(self, q: float, total: int) -> float:
        rank, seen = max(1, math.ceil(q * total)), 0
        index = 0
        while (seen := seen + self._counts[index]) < rank:
            index += 1
        # The bin's middle on the logarithmic scale.
        return float(_SHORTEST_S * _GROWTH ** (index + 0.5))
