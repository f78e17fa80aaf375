"""The figures of embeddings and of estimated numbers.

An embedding is good if the nearest other picture, by the cosine, shows the same class: each picture in turn is asked
about, against all that do not belong to its own group, since the next frame of the same video would be too easy.

An estimated number is measured in its own unit (`mae`, the mean absolute error), and as a part of how much the true
numbers differ among themselves (`relative_error`): 1 is what the median of the labels, always given, would have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_BLOCK = 512


def unit_vectors(vectors: Sequence[Array]) -> Array:
    """Return vectors of length 1, (n, D) float64.

    Raises:
        InputError: they differ in length, which cosines do not allow.
    """
    if len({len(vector) for vector in vectors}) > 1:
        raise InputError("The model's embeddings differ in length.", hint="Check the model's output.")
    table = np.stack(vectors).astype(np.float64)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    return np.asarray(table / np.where(lengths > 0, lengths, 1))


def nearest_is_right(vectors: Array, classes: Array, units: Array) -> Array:
    """Return whether the nearest picture of another unit is of the same class, (n,) bool.

    Args:
        vectors: (n, D), of length 1.
        classes: (n,).
        units: (n,) which pictures belong together.
    """
    right = np.zeros(len(vectors), bool)
    for start in range(0, len(vectors), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cosines = vectors[rows] @ vectors.T
        cosines[units[rows, None] == units[None]] = -np.inf
        right[rows] = classes[cosines.argmax(axis=1)] == classes[rows]
        right[rows] &= np.isfinite(cosines.max(axis=1))
    return right


def lonely_classes(classes: Array, units: Array) -> list[int]:
    """Return the classes of which no two pictures of different units are there: their nearest can never be right."""
    return [int(c) for c in np.unique(classes) if len(np.unique(units[classes == c])) < 2]


def true_spread(truth: Array) -> Array:
    """Return the mean absolute deviation of each true number from its median, (D,) float64; 0 where all are alike."""
    return np.asarray(np.abs(truth - np.median(truth, axis=0)).mean(axis=0))


def checked_width(width: int, estimated: int) -> None:
    """Check that there is a label for each number that the model estimates.

    Raises:
        InputError: there is not.
    """
    if width != estimated:
        raise InputError(
            f"The model estimates {estimated} numbers, but each picture is labelled with {width}.",
            hint="Give labels.csv one column for each number, or the card `labels` that name them.",
        )
