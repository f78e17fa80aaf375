"""Does a program's memory grow and grow? Pure: the least of each stretch of time in, a reason out, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

# What starts takes memory for a while, and caches fill: the first quarter says nothing.
_SETTLES = 4
_LEAST_STRETCHES = 4
# Of all pairs of stretches the later one has more in at least so many: one stretch that stands still, or gives a little
# back, clears no leak; what fills up and then stays has not as many.
_RISES = 0.8
_BY = 0.05
_MB = 1 << 20


def growth(lows: Sequence[int], least_mb: float) -> str:
    """Return how memory grows: from stretch to stretch, but for a few, by a twentieth and `least_mb` in all.

    Args:
        lows: the least of each stretch, bytes, the oldest first.
    """
    settled = lows[max(1, len(lows) // _SETTLES) :]
    if len(settled) < _LEAST_STRETCHES:
        return ""
    pairs = [later > earlier for earlier, later in combinations(settled, 2)]
    more = settled[-1] - settled[0]
    if sum(pairs) < _RISES * len(pairs) or more < max(least_mb * _MB, settled[0] * _BY):
        return ""
    return f"its memory grows: {more / _MB:.0f} MB more than at first, {settled[-1] / _MB:.0f} MB now"
