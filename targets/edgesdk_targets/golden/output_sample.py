"""Compare raw outputs by a sample of their values: the largest, and others evenly spread.

A whole detector's output of some pictures is megabytes. The largest values are where the objects are; the spread ones tell
whether the rest is alive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.golden.golden_file import Group, Limit
from edgesdk_targets.tensor import Array

LARGEST, SPREAD = 64, 448
MAX_DB = 200.0
# Below this a difference is nothing in any unit.
_NOTHING = 1e-7
# The worst single value may be so many times as far off as all are on average.
_PEAK = 10.0


def part_of(outputs: Mapping[str, Array], group: Group) -> Array:
    """Return a group's values, flattened."""
    array = outputs[group.output]
    if group.axis is None:
        return array.reshape(-1)
    return array[(slice(None),) * group.axis + (slice(group.start, group.stop),)].reshape(-1)


def choose(values: Array) -> Array:
    """Return which values of a flattened group are kept, ascending int32: at most `LARGEST + SPREAD`."""
    if values.size <= LARGEST + SPREAD:
        return np.arange(values.size, dtype=np.int32)
    spread = np.linspace(0, values.size - 1, SPREAD).astype(np.int64)
    rest = np.setdiff1d(np.arange(values.size), spread)
    size = np.abs(values[rest].astype(np.float64))
    largest = rest[np.argsort(-size, kind="stable")[:LARGEST]]
    return np.sort(np.concatenate([spread, largest])).astype(np.int32)


def take(outputs: Mapping[str, Array], groups: Sequence[Group], counts: Sequence[int], index: Array) -> Array | None:
    """Return the values that `index` names, all groups in a row, float32; None where an output is smaller than that."""
    parts: list[Array] = []
    start = 0
    for group, count in zip(groups, counts, strict=True):
        values, where = part_of(outputs, group), index[start : start + count]
        if where.size and int(where.max()) >= values.size:
            return None
        parts.append(values[where].astype(np.float32))
        start += count
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def noise_db(wanted: Array, got: Array) -> Array:
    """Return the signal-to-noise ratio of each picture, dB: the mean signal of all pictures over its own noise.

    Args:
        wanted, got: (pictures, values) of one group.
    """
    a, b = wanted.astype(np.float64), got.astype(np.float64)
    signal = float((a * a).sum(axis=1).mean()) if a.size else 0.0
    result: list[float] = []
    for noise in ((b - a) ** 2).sum(axis=1):
        if not math.isfinite(noise) or (noise > 0 and signal == 0.0):
            result.append(-MAX_DB)
        elif noise == 0.0:
            result.append(MAX_DB)
        else:
            result.append(min(MAX_DB, max(-MAX_DB, 10 * math.log10(signal / noise))))
    return np.asarray(result)


def too_far(wanted: Array, got: Array, limit: Limit) -> Array:
    """Return for each picture whether a group's values are farther from the golden ones than allowed."""
    db = noise_db(wanted, got)
    off = np.abs(got.astype(np.float64) - wanted).max(axis=1, initial=0.0)
    off = np.where(np.isfinite(off), off, np.inf)
    usual = math.sqrt(float((wanted.astype(np.float64) ** 2).mean())) if wanted.size else 0.0
    peak = _PEAK * usual * 10 ** (-limit.db / 20)
    small = ((off <= limit.tiny) & (db >= limit.db / 3)) | (off <= _NOTHING)
    bad: Array = ((db < limit.db) | (off > max(peak, limit.tiny))) & ~small
    return bad


@dataclass(frozen=True, slots=True)
class Mark:
    """Answers that a group's values may be near to.

    Attributes:
        values: (pictures, values).
        whose: in words, after "dB".
    """

    values: Array
    limit: Limit
    whose: str = ""


def near_to(marks: Sequence[Mark], got: Array) -> tuple[Array, list[str], Array]:
    """Compare a group's values with each mark; a picture has to be near to one of them.

    Returns:
        of each picture: by how many dB the nearer mark's limit is kept; that in words, of all marks where it is near to none; and
        whether it is near to none.
    """
    ratios = np.stack([noise_db(mark.values, got) for mark in marks])
    apart = np.stack([too_far(mark.values, got, mark.limit) for mark in marks])
    limits = np.asarray([mark.limit.db for mark in marks])
    # A mark that the values are near to counts before one that they are not: single values decide besides the ratio.
    far: Array = np.logical_and.reduce(apart)
    margins = np.where(apart & ~far, -np.inf, ratios - limits[:, None])
    best = margins.argmax(axis=0)
    told = []
    for at in range(got.shape[0]):
        shown = range(len(marks)) if far[at] else [int(best[at])]
        told.append(", and ".join(_in_words(marks[one], float(ratios[one, at])) for one in shown))
    return margins.max(axis=0), told, far


def _in_words(mark: Mark, db: float) -> str:
    return f"{db:.1f} dB{mark.whose}; {mark.limit.db:g} are needed"
