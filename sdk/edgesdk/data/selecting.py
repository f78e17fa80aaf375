"""Choose few pictures that cover a set, and say how well they do beside as many drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.data.features.table import Features
from edgesdk.data.index.item import Item
from edgesdk_converters.calibration.k_centre import k_centre
from edgesdk_targets.tensor import Array

_DRAWS = 20
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice.

    Attributes:
        items: in the order of choice: the first n are themselves a choice of n.
        radius: how far the picture that is worst off is from one of them, in standardised features.
        random_radius: the same of random choices, the median of `draws`.
    """

    items: tuple[Item, ...]
    radius: float
    random_radius: float
    draws: int = _DRAWS

    def to_json(self) -> dict[str, object]:
        """Return it for `--json`."""
        return {
            "chosen": [item.name for item in self.items],
            "radius": self.radius,
            "random_radius": self.random_radius,
            "draws": self.draws,
        }


def select(features: Features, count: int, *, seed: int = 0) -> Chosen:
    """Choose at most `count` pictures by k-centre."""
    points = features.standardised().astype(np.float32)
    places = k_centre(points, count)
    rng = np.random.default_rng(seed)
    drawn = [radius(points, rng.permutation(len(points))[: len(places)]) for _ in range(_DRAWS)]
    return Chosen(tuple(features.items[place] for place in places), radius(points, places), float(np.median(drawn)))


def radius(points: Array, places: list[int] | Array) -> float:
    """Return the greatest distance of a point to the nearest of those at `places`."""
    centres = points[places].astype(np.float64)
    squares = (centres**2).sum(axis=1)
    worst = 0.0
    for start in range(0, len(points), _BLOCK):
        part = points[start : start + _BLOCK].astype(np.float64)
        distance = (part**2).sum(axis=1)[:, None] + squares[None] - 2 * part @ centres.T
        worst = max(worst, float(distance.min(axis=1).max()))
    return float(np.sqrt(max(worst, 0.0)))
