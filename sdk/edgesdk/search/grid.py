"""The configurations of a grid, in an order that the seed decides: also a part of them is spread over the space (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from edgesdk.search.parameter import Scalar
from edgesdk.search.space import MAX_TRIALS, Space

Values = tuple[Scalar, ...]


def next_of_grid(space: Space, tried: Collection[Values]) -> dict[str, Scalar] | None:
    """Return a configuration that was not tried; None where all were, or as many as a search may have.

    Args:
        tried: values in the order of the space's parameters.
    """
    names = list(space.parameters)
    one = next((values for values in _in_order(space) if values not in tried), None)
    return dict(zip(names, one, strict=True)) if one is not None else None


def _in_order(space: Space) -> Iterator[Values]:
    # Only places are drawn, and no more than there can be trials: a grid may have more configurations than memory holds.
    count = space.size or 0
    places = np.random.default_rng(space.seed).choice(count, min(count, MAX_TRIALS), replace=False)
    for place in places:
        yield _at(space, int(place))


def _at(space: Space, place: int) -> Values:
    """Return the configuration at a place: its digits, each in the base of a parameter's count of values."""
    found: list[Scalar] = []
    for parameter in space.parameters.values():
        place, digit = divmod(place, parameter.count)
        found.append(parameter.at(digit))
    return tuple(found)
