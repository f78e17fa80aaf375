"""By how much a share may really have dropped, when the same samples were answered twice.

Of n samples, `lost` were right before and are wrong now, `won` the other way round; the drop is (lost - won) / n. The
samples that came out equal say nothing about the direction, but count in n. The ends of the interval are exact: an end is
the drop at which what was seen, or something more extreme, would just have a chance of 5 %, whatever the share of
samples that came out differently (Sidik 2003, "Exact unconditional tests for testing non-inferiority in matched-pairs
design"). Outcomes are ordered by Tango's score (Tango 1998, Statistics in Medicine 17, 891). So an artifact whose true
drop equals a limit is passed in at most 5 of a hundred cases: computed in the tests, not only simulated.

Shares of samples that are correlated (the frames of a video) are handed over as parts: a video of which half is lost
counts half. `lost` is rounded against the artifact and `won` too, as parts vary less than whole samples do.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from edgesdk_targets.tensor import Array

ALPHA = 0.05
# Chance that the share of differing samples lies outside the range that is searched (Berger and Boos 1994).
_OUTSIDE = 1e-7
_STEPS = 24
# With more cells than this the samples are many, and Tango's score alone is exact enough.
_MAX_CELLS = 60_000
_NORMAL = NormalDist()


def drop_bounds(n: int, lost: float, won: float, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the lower and the upper end of the drop, each holding with 1 - alpha.

    Args:
        n: samples, at least one.
        lost, won: at least 0, together at most n.
    """
    return -_upper_end(n, won, lost, alpha), _upper_end(n, lost, won, alpha)


def chance_of_so_little(n: int, lost: float, won: float, drop: float) -> float:
    """Return how probable such a small loss or a smaller one is at most, if the true drop is `drop`."""
    lost, won = math.ceil(lost - 1e-9), math.floor(won + 1e-9)
    return _chance(n, min(lost, n - won), won, drop)


def chance_of_so_much(n: int, lost: float, won: float, drop: float) -> float:
    """Return how probable such a loss or a greater one is at most, if the true drop is `drop`."""
    return chance_of_so_little(n, won, lost, -drop)


def _upper_end(n: int, lost: float, won: float, alpha: float) -> float:
    """Return the least drop that is refuted by its samples, to a ten-thousandth of what is searched."""
    low, high = (lost - won) / n, 1.0
    for _ in range(16):
        middle = (low + high) / 2
        if chance_of_so_little(n, lost, won, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=4096)
def _chance(n: int, lost: int, won: int, drop: float) -> float:
    seen = float(_scores(n, np.asarray([lost], float), np.asarray([won], float), drop)[0])
    # Which part of the samples differs is not known; beyond `most` it is not believable.
    most = min(1.0, _most(n, lost + won))
    lowest = max(0.0, -drop)
    highest = max(lowest, min((1 - drop) / 2, (most - drop) / 2))
    rows, columns = _reach(n, highest + drop), _reach(n, highest)
    if rows * columns > _MAX_CELLS:
        return _NORMAL.cdf(seen)
    b, c = (grid.ravel().astype(float) for grid in np.mgrid[: rows + 1, : columns + 1])
    inside = b + c <= n
    b, c = b[inside], c[inside]
    extreme = _scores(n, b, c, drop) <= seen + 1e-9
    b, c = b[extreme], c[extreme]
    if len(b) == 0:
        return _OUTSIDE
    ways = _log_ways(n, b, c)
    won_chances = lowest + (highest - lowest) * np.linspace(0, 1, _STEPS) ** 2
    lost_chances = won_chances + drop
    same_chances = 1 - won_chances - lost_chances
    logs = np.log(np.maximum(np.stack([lost_chances, won_chances, same_chances]), 1e-300))
    chances = np.exp(np.stack([b, c, n - b - c], axis=1) @ logs + ways[:, None]).sum(axis=0)
    return min(1.0, float(chances.max()) + _OUTSIDE)


def _scores(n: int, lost: Array, won: Array, drop: float) -> Array:
    """Return Tango's score of each outcome: how far its drop lies above `drop`, in standard deviations."""
    if drop < 0:
        return -_scores(n, won, lost, -drop)
    b = lost + won + drop * (lost - won) - 2 * n * drop
    share_won = (b + np.sqrt(b * b + 8 * n * won * drop * (1 - drop))) / (4 * n)
    variance = n * (2 * share_won + drop * (1 - drop))
    scores: Array = (lost - won - n * drop) / np.sqrt(np.maximum(variance, 1e-12))
    return scores


def _most(n: int, differing: int) -> float:
    """Return the greatest share of differing samples that is believable, by Clopper and Pearson."""
    if differing >= n:
        return 1.0
    k = np.arange(differing + 1, dtype=float)
    ways = _log_ways(n, k, np.zeros_like(k))
    low, high = differing / n, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        log_chances = ways + k * math.log(max(middle, 1e-300)) + (n - k) * math.log(max(1 - middle, 1e-300))
        if float(np.exp(log_chances).sum()) > _OUTSIDE:
            low = middle
        else:
            high = middle
    return high


def _reach(n: int, chance: float) -> int:
    """Return a count that n samples of this chance do not exceed, but for one case in millions."""
    mean = n * max(0.0, chance)
    return min(n, math.ceil(mean + 6 * math.sqrt(mean) + 8))


def _log_ways(n: int, b: Array, c: Array) -> Array:
    """Return the logarithm of how many ways there are to place b and c among n."""
    table = _log_factorials(n)
    ways: Array = table[n] - table[b.astype(int)] - table[c.astype(int)] - table[(n - b - c).astype(int)]
    return ways


@lru_cache(maxsize=8)
def _log_factorials(n: int) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
