"""What every figure is computed from: arrays of one length, without NaN, and how often each picture counts.

A figure takes draws, (R, n) whole numbers: how often each of n pictures counts in each of R draws. All pictures once is one
such row, leaving one out is another, and a resample is a third: so a figure and its interval come from one formula. What
is not defined (the precision of a class that was never answered) is NaN here, and is left out of a mean.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


def checked(**arrays: Array) -> None:
    """Check arrays before anything is computed from them, by the names that they have as arguments.

    Raises:
        InputError: they are empty, differ in length, or hold what is no finite number.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in lengths.items())
        raise InputError(f"Labels and answers differ in number: {listed}.", hint="Give one answer for each label.")
    if 0 in lengths.values():
        raise InputError("There is nothing to measure: no label is given.", hint="Give one label or more.")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            place = int(np.argwhere(~np.isfinite(array))[0][0])
            raise InputError(
                f"{name} holds what is no finite number, first at place {place}.", hint="Leave out no NaN."
            )


def shares(parts: Array, wholes: Array) -> Array:
    """Return parts / wholes, NaN where there is nothing to take a part of."""
    out: Array = np.full(np.broadcast_shapes(parts.shape, wholes.shape), np.nan)
    np.divide(parts, wholes, out=out, where=wholes > 0)
    return out


def defined_mean(values: Array) -> Array:
    """Return the mean over the last axis of what is defined, NaN where nothing is."""
    known = ~np.isnan(values)
    return shares(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def sums_by(groups: Array, count: int, draws: Array) -> Array:
    """Return how often pictures of each group count, (R, count) int64.

    Args:
        groups: (n,) the group of each picture, 0..count-1.
        draws: (R, n) how often each picture counts, or any other weight.
    """
    out = np.zeros((len(draws), count), draws.dtype)
    if len(groups) == 0:
        return out
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    out[:, present] = np.add.reduceat(draws[:, order], starts, axis=1)
    return out
