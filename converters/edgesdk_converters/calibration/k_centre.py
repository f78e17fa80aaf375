"""Choose points that cover a cloud: k-centre by the greedy rule (pure).

The first is the one nearest to the middle; each further one is the one farthest from all chosen so far. So the first n
of the choice are themselves a choice of n, and no point is farther from a chosen one than twice the best possible.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array


def k_centre(features: Array, count: int) -> list[int]:
    """Return the rows chosen, in the order of choice; equal distances go to the lower row.

    Args:
        features: (N, D) float32, finite.
        count: at most so many.
    """
    if not len(features) or count < 1:
        return []
    nearest = np.full(len(features), np.inf, np.float32)
    pick = int(_distances(features, features.mean(axis=0, dtype=np.float64).astype(np.float32)).argmin())
    chosen: list[int] = []
    while len(chosen) < min(count, len(features)):
        chosen.append(pick)
        np.minimum(nearest, _distances(features, features[pick]), out=nearest)
        nearest[pick] = -1.0  # never again, also where all points are one
        pick = int(nearest.argmax())
    return chosen


def _distances(features: Array, point: Array) -> Array:
    """Return squared distances, (N,) float32, a slice at a time: no second copy of the cloud is made."""
    out = np.empty(len(features), np.float32)
    for start in range(0, len(features), 256):
        part = features[start : start + 256] - point
        np.einsum("nd,nd->n", part, part, out=out[start : start + 256])
    return out
