"""The 95 % interval of any figure, by resampling: bias-corrected and accelerated (BCa; Efron 1987), seeded.

What belongs together (the frames of a clip, equal pictures) is drawn together. The ends are percentiles of a thousand
draws, moved by how much the draws lie to one side of the figure (bias) and by how its spread changes with it (acceleration,
from leaving each group out). Draws in which the figure is not defined tell nothing, and are left out.

Where no draw makes a difference and the figure is 0 or 1, resampling would say "certain": that so many independent
samples show no error is all that is known, and Wilson's interval says how much that is. One clip is one sample: no draw
differs from it, so a share has Wilson's interval of one, and how far off another figure is is not known.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from edgesdk.evaluate.average_precision import left_out, whole
from edgesdk.evaluate.intervals import RESAMPLES, Metric, proportion, resampled_counts
from edgesdk.evaluate.metrics.arrays import shares
from edgesdk_targets.tensor import Array

# (R, n) how often each picture counts -> (R, K) figures, NaN where one is not defined.
Figures = Callable[[Array], Array]

_NORMAL = NormalDist()
_ENDS = (_NORMAL.inv_cdf(0.025), _NORMAL.inv_cdf(0.975))
# Numbers in one array of draws; more are done in parts.
_CHUNK = 1 << 22
_SAME = 1e-12


def bootstrapped(
    figures: Figures,
    units: Array,
    *,
    sizes: Array | None = None,
    independent: Array | None = None,
    is_share: bool = True,
    resamples: int = RESAMPLES,
) -> list[Metric]:
    """Return each figure with its interval; one that is not defined is NaN, and so are its ends.

    Where all pictures belong together, figures that are no shares have no ends either.

    Args:
        figures: computes K figures for each draw.
        units: (n,) which pictures belong together, as numbers from 0 without gaps.
        sizes: (K,) how many pictures each figure is measured on; None for all.
        independent: (K,) how many independent samples bear on each; None for all units.
        is_share: 0 and 1 are the ends of what the figures can be; else they have a unit of their own.
        resamples: how many draws.
    """
    n, count = len(units), int(units.max()) + 1
    values = figures(whole(n))[0]
    sizes = np.full(len(values), n) if sizes is None else sizes
    if count == 1:
        return [_of_one(float(value), int(size), is_share=is_share) for value, size in zip(values, sizes, strict=True)]
    without = _in_parts(figures, left_out(units))
    drawn = _in_parts(figures, resampled_counts(count, resamples), units)
    independent = np.full(len(values), count) if independent is None else independent
    return [
        _metric(float(values[k]), drawn[:, k], without[:, k], int(sizes[k]), int(independent[k]) if is_share else 0)
        for k in range(len(values))
    ]


def share(right: Array, units: Array) -> Metric:
    """Return the share of pictures that are right: with Wilson's interval where all are independent.

    Args:
        right: (n,) bool.
        units: (n,) which pictures belong together.
    """
    if int(units.max()) + 1 == len(units):
        return proportion(int(right.sum()), len(right))
    return rate(right.astype(np.int64), np.ones(len(right), np.int64), units)


def rate(parts: Array, wholes: Array, units: Array) -> Metric:
    """Return sum(parts) / sum(wholes) over pictures; not defined where there is nothing to take a part of.

    Args:
        parts, wholes: (n,) numbers of each picture.
        units: (n,) which pictures belong together.
    """
    (metric,) = bootstrapped(lambda draws: shares(draws @ parts, draws @ wholes)[:, None], units)
    return metric


def _in_parts(figures: Figures, draws: Array, units: Array | None = None) -> Array:
    """Compute the figures a few draws at a time; draws of units become draws of pictures on the way."""
    rows = max(1, _CHUNK // (draws.shape[1] if units is None else len(units)))
    parts = (draws[start : start + rows] for start in range(0, len(draws), rows))
    return np.concatenate([figures(part if units is None else part[:, units]) for part in parts])


def _of_one(value: float, n: int, *, is_share: bool) -> Metric:
    if not is_share or not 0 <= value <= 1:
        return Metric(value, np.nan, np.nan, n)
    edges = proportion(value, 1)
    return Metric(value, min(edges.low, value), max(edges.high, value), n)


def _metric(value: float, drawn: Array, without: Array, n: int, independent: int) -> Metric:
    if np.isnan(value):
        return Metric(value, value, value, n)
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) == 0 or np.abs(drawn - value).max() <= _SAME * max(1.0, abs(value)):
        at_an_end = min(abs(value), abs(value - 1)) <= _SAME and independent > 0
        edges = proportion(round(value) * independent, independent) if at_an_end else Metric(value, value, value, n)
        return Metric(value, min(edges.low, value), max(edges.high, value), n)
    low, high = np.quantile(drawn, _levels(value, drawn, without))
    # Draws of few pictures may all lie on one side of the figure, which belongs to its interval.
    return Metric(value, min(float(low), value), max(float(high), value), n)


def _levels(value: float, drawn: Array, without: Array) -> tuple[float, float]:
    """Return which quantiles of the draws are the interval's ends."""
    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn == value) / 2) / len(drawn)
    least = 0.5 / len(drawn)
    bias = _NORMAL.inv_cdf(min(max(below, least), 1 - least))
    known = without[~np.isnan(without)]
    away = known.mean() - known if len(known) else np.zeros(1)
    spread = float((away**2).sum())
    acceleration = float((away**3).sum()) / (6 * spread**1.5) if spread > _SAME**2 else 0.0
    low, high = (_moved(bias, acceleration, end) for end in _ENDS)
    return low, high


def _moved(bias: float, acceleration: float, end: float) -> float:
    stretched = 1 - acceleration * (bias + end)
    # Too skewed to be accelerated: the plain percentile.
    return _NORMAL.cdf(end if stretched <= 0 else bias + (bias + end) / stretched)
