"""Which of too many pictures are looked at, and in what order."""

from __future__ import annotations

import numpy as np


def sampled(count: int, limit: int, seed: int) -> list[int]:
    """Return the numbers 0 … count-1 in the order to look at them: as they are, or shuffled where they are too many."""
    if count <= limit:
        return list(range(count))
    return [int(i) for i in np.random.default_rng(seed).permutation(count)]
