"""Which points lie in a polygon: by how often a ray from each crosses its edges."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array


class Polygon:
    """A closed polygon, convex or not; one that crosses itself is inside where a ray crosses it an odd number of times.

    Args:
        corners: (P, 2) float, at least three.
    """

    def __init__(self, corners: Array) -> None:
        following = np.roll(corners, -1, axis=0)
        (self._x, self._y), (_, self._next_y) = corners.T, following.T
        rise = following[:, 1] - corners[:, 1]
        # A level edge is crossed by no level ray, whatever its slope is taken for.
        self._run = (following[:, 0] - corners[:, 0]) / np.where(rise == 0, 1.0, rise)

    def contains(self, points: Array) -> Array:
        """Tell for each point whether it is inside, (N,) bool; points (N, 2) float."""
        x, y = points[:, :1], points[:, 1:]
        # Each corner belongs to one of its two edges, so that a ray through it counts once.
        spans = (self._y > y) != (self._next_y > y)
        to_the_right = x < self._x + (y - self._y) * self._run
        inside: Array = np.count_nonzero(spans & to_the_right, axis=1) % 2 == 1
        return inside
