"""The features of a dataset: a row a picture, a column a feature."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesdk.data.features.classical import NAMES, classical_features
from edgesdk.data.index.item import Index, Item
from edgesdk.data.stream.pipeline import Pipeline, Progress, Unread
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array
from edgesdk_targets.whole_file import write_whole


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A table of features.

    Attributes:
        matrix: (N, D) float32, finite; its rows belong to `items`, its columns to `names`.
        unread: pictures without a row, and why.
    """

    items: tuple[Item, ...]
    names: tuple[str, ...]
    matrix: Array
    unread: tuple[tuple[Item, str], ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """One class for each picture: its only one, or all that it shows, joined."""
        return tuple("+".join(item.classes) for item in self.items)

    def columns(self, places: Sequence[int]) -> Features:
        """Return the same table with some of its columns."""
        names = tuple(self.names[place] for place in places)
        return Features(self.items, names, self.matrix[:, list(places)], self.unread)

    def standardised(self) -> Array:
        """Return the matrix with columns of mean 0 and deviation 1; a constant column is 0."""
        deviation = self.matrix.std(axis=0)
        out: Array = (self.matrix - self.matrix.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1)
        return out

    def write(self, path: Path) -> Path:
        """Write `.npz` with the arrays `features`, `columns`, `files`, `splits` and `classes`: no pickle in it."""
        out = io.BytesIO()
        np.savez_compressed(
            out,
            features=self.matrix,
            columns=np.asarray(self.names, np.str_),
            files=np.asarray([item.name for item in self.items], np.str_),
            splits=np.asarray([item.split for item in self.items], np.str_),
            classes=np.asarray(self.classes, np.str_),
        )
        write_whole(path, out.getvalue())
        return path


def describe(
    index: Index,
    embed: Callable[[Array], Array] | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Features:
    """Describe each picture of a dataset.

    Args:
        embed: what a model sees in a picture; None for the classical features.

    Raises:
        InputError: no picture can be read, or a model's answers are not finite.
    """
    of_picture = embed or classical_features

    def work(_item: Item, picture: Array) -> Array:
        return of_picture(picture)

    items: list[Item] = []
    rows: list[Array] = []
    unread: list[tuple[Item, str]] = []
    for item, row in Pipeline(index.items, work, workers=workers, progress=progress):
        if isinstance(row, Unread):
            unread.append((item, row.reason.message))
        else:
            items.append(item)
            rows.append(np.asarray(row, np.float32).reshape(-1))
    if not rows:
        raise InputError(f"None of {len(index)} pictures can be read: {unread[0][1]}", hint="See `edgesdk data check`.")
    matrix = np.stack(rows)
    if not np.isfinite(matrix).all():
        wrong = items[int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])]
        raise InputError(f"The features of {wrong.name} are not finite.", hint="Check the model and its preprocessing.")
    names = NAMES if embed is None else tuple(f"feature_{i}" for i in range(matrix.shape[1]))
    return Features(tuple(items), names, matrix, tuple(unread))
