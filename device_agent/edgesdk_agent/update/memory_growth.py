"""Does a program's memory grow and grow? Pure: the least of each stretch of time in, a reason out, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# What starts takes memory for a while, and caches fill: the first quarter says nothing.
_SETTLES = 4
_LEAST_RISES = 4
_BY = 0.05
_MB = 1 << 20


def growth(lows: Sequence[int], least_mb: float) -> str:
    """Return how memory grows: in each stretch more than in the one before, by a twentieth and `least_mb` in all.

    Args:
        lows: the least of each stretch, bytes, the oldest first.
    """
    settled = lows[max(1, len(lows) // _SETTLES) :]
    if len(settled) < _LEAST_RISES or any(later <= earlier for earlier, later in pairwise(settled)):
        return ""
    more = settled[-1] - settled[0]
    if more < max(least_mb * _MB, settled[0] * _BY):
        return ""
    return f"its memory grows: {more / _MB:.0f} MB more than at first, {settled[-1] / _MB:.0f} MB now"
