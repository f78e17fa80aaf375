"""The candidates' features, one row a picture, in bounded memory.

Rows longer than 1,024 numbers (a detector's whole output) are folded: each number is added, with a random sign, to a
random one of 1,024 places. Distances stay the same in expectation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

Features = Callable[[Array], Array]
WIDTH = 1024


class FeatureTable:
    """Rows of features of equal length.

    Args:
        features: picture, (H, W, 3) uint8 BGR → (D,) numbers.
    """

    def __init__(self, features: Features, *, seed: int) -> None:
        self._features = features
        self._seed = seed
        self._rows: list[Array] = []
        self._length = 0
        self._places: Array | None = None
        self._signs: Array | None = None

    def add(self, picture: Array, name: str) -> None:
        """Append a picture's row.

        Raises:
            InputError: the features are not finite, or not as many as before.
        """
        row = np.asarray(self._features(picture), np.float32).reshape(-1)
        if not self._rows:
            self._prepare(row.size)
        if row.size != self._length:
            raise InputError(
                f"The model's features of {name} are {row.size} numbers, those of others {self._length}.",
                hint="Let the function return the same number for every picture.",
            )
        if not np.isfinite(row).all():
            raise InputError(
                f"The model computes values that are not finite for the picture {name}.",
                hint="Check its weights and its preprocessing: such a model cannot be quantised.",
            )
        self._rows.append(self._folded(row))

    def matrix(self) -> Array:
        """Return all rows, (N, D) float32."""
        return np.stack(self._rows) if self._rows else np.empty((0, 1), np.float32)

    def _prepare(self, length: int) -> None:
        if not length:
            raise InputError("The model's features are empty.", hint="Let the function return at least one number.")
        self._length = length
        if length > WIDTH:
            rng = np.random.default_rng(self._seed)
            self._places = rng.integers(0, WIDTH, length)
            self._signs = rng.integers(0, 2, length).astype(np.float32) * 2 - 1

    def _folded(self, row: Array) -> Array:
        if self._places is None or self._signs is None:
            return row
        return np.bincount(self._places, row * self._signs, minlength=WIDTH).astype(np.float32)
