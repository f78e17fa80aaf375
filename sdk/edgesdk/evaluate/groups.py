"""Which pictures belong together, and count as one.

A hundred frames of one video are not a hundred samples: an artifact that fails on one of them fails on most. Together
belong pictures that the dataset says so of (`groups.csv` with the columns file,group, or a column `group` in
`labels.csv`), that are called as frames of one video (`gate_frame_0012.jpg`, `gate.mp4_12.png`), and that are the same
picture but for noise. Numbers alone (`cat_0012.jpg`) say nothing: most datasets are numbered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgesdk.layouts.group_names import video_of
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_SIDE = 16
# Mean difference of two thumbnails in parts of their contrast, below which they are one picture.
_SAME = 0.02
_BLOCK = 256
_NEIGHBOURS = 8


def thumbnail(image: Array) -> Array:
    """Return a small grey copy of a picture (H, W, 3) uint8, as (256,) float32."""
    gray = image.mean(axis=2).astype(np.float32)
    return np.asarray(cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32).reshape(-1)


def units_of(paths: Sequence[Path | None], thumbnails: Array, named: Mapping[Path, str]) -> Array:
    """Return the unit of each picture, (n,) int64, numbered from 0 without gaps.

    Args:
        paths: of the pictures; None where one has no file.
        thumbnails: (n, 256).
        named: groups that the dataset names.
    """
    parents = np.arange(len(paths))
    first: dict[str, int] = {}
    for i, path in enumerate(paths):
        group = None if path is None else named.get(path, video_of(path))
        if group is not None:
            _join(parents, i, first.setdefault(group, i))
    for i, j in _same_pictures(thumbnails):
        _join(parents, i, j)
    roots = np.asarray([_root(parents, i) for i in range(len(paths))])
    units: Array = np.unique(roots, return_inverse=True)[1].astype(np.int64)
    return units


def _same_pictures(thumbnails: Array) -> list[tuple[int, int]]:
    """Return the pairs of pictures that are one, but for noise."""
    contrast = thumbnails.std(axis=1)
    pairs: list[tuple[int, int]] = []
    squares = (thumbnails.astype(np.float64) ** 2).sum(axis=1)
    for start in range(0, len(thumbnails), _BLOCK):
        block = thumbnails[start : start + _BLOCK].astype(np.float64)
        distance = squares[start : start + _BLOCK, None] + squares[None] - 2 * block @ thumbnails.T.astype(np.float64)
        root = np.sqrt(np.maximum(distance, 0) / thumbnails.shape[1])
        same = root <= _SAME * np.minimum(contrast[start : start + _BLOCK, None], contrast[None])
        for i, row in enumerate(same, start):
            # A few that came before are enough to join them all, however many alike there are.
            pairs += [(i, int(j)) for j in np.flatnonzero(row[:i])[-_NEIGHBOURS:]]
    return pairs


def _root(parents: Array, i: int) -> int:
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = int(parents[i])
    return i


def _join(parents: Array, i: int, j: int) -> None:
    parents[_root(parents, i)] = _root(parents, j)


def mean_by_unit(values: Array, units: Array) -> Array:
    """Return the mean of each unit's pictures, (G,) float64."""
    sums = np.bincount(units, weights=values.astype(np.float64))
    means: Array = sums / np.bincount(units)
    return means
