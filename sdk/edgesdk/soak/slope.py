"""Whether a series grows and goes on growing: the median of slopes, which a few outliers do not move, against its noise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

_MOST_POINTS = 120


@dataclass(frozen=True, slots=True)
class Growth:
    """How a series went.

    Attributes:
        per_hour: the slope (Theil and Sen), units an hour.
        over_series: what it comes to over the whole series.
        noise: what a series without slope may seem to have grown: four times the usual distance from the line.
    """

    per_hour: float
    over_series: float
    noise: float


def growth_of(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit a line through points in the order of time; fewer than four have no slope."""
    points = _thinned(list(zip(times_s, values, strict=True)))
    if len(points) < 4:
        return Growth(0.0, 0.0, 0.0)
    slopes = [(v2 - v1) / (t2 - t1) for (t1, v1), (t2, v2) in combinations(points, 2) if t2 > t1]
    slope = statistics.median(slopes) if slopes else 0.0
    level = statistics.median(v - slope * t for t, v in points)
    distance = statistics.median(abs(v - slope * t - level) for t, v in points)
    return Growth(slope * 3600.0, slope * (points[-1][0] - points[0][0]), 4.0 * distance)


def lasting_growth(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit a line as `growth_of` does, no steeper than that of the later half: a warm-up ends, and a leak goes on."""
    whole = growth_of(times_s, values)
    half = len(values) // 2
    late = growth_of(times_s[half:], values[half:])
    if late.per_hour >= whole.per_hour:
        return whole
    return Growth(late.per_hour, late.per_hour / 3600.0 * (times_s[-1] - times_s[0]), whole.noise)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `_MOST_POINTS` points, each the median of its neighbours: pairs are many."""
    size = -(-len(points) // _MOST_POINTS)
    groups = [points[i : i + size] for i in range(0, len(points), size)] if size > 1 else [[point] for point in points]
    return [(statistics.median(t for t, _ in group), statistics.median(v for _, v in group)) for group in groups]
