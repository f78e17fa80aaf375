"""How a layer's weights become int8: the step of each output channel, and the bias that makes up for the rounding (pure).

Three rules, each measured to matter:
- A channel whose weights lie on a grid of at most 127 steps to each side, as a model trained with quantisation leaves
  them, keeps that grid: it loses nothing, where the usual step (the largest weight / 127) would round it once more.
- A bias is a whole number of (input step x weight step), 32 bits wide: a channel of tiny or no weights gets a step that
  its bias fits into. A step made for its weights alone would cut the bias off, silently.
- What rounding adds to a channel on average is known from the mean of its inputs, and is taken out of its bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.tensor import Array

_MOST = 127
# Two multiples of a grid differ from whole numbers of it by float32's rounding only.
_SAME = 1e-4
# A bias may use this much of an int32: sums of products come on top.
_BIAS_ROOM = 2.0**30
_SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Rounded:
    """One layer's weights in int8.

    Attributes:
        steps: (O,) float64: a weight is its whole number times its channel's step.
        whole: (O, …) int8, -127..127, shaped as the weights were.
        shift: (O,) float64: to be added to the bias; zeros where the inputs' means are not known.
    """

    steps: Array
    whole: Array
    shift: Array


def rounded(
    weights: Array, *, bias: Array | None = None, input_step: float | None = None, means: Array | None = None
) -> Rounded:
    """Round a layer's weights, channel by channel, symmetrically.

    Args:
        weights: (O, …) float32, the output channel first.
        bias: (O,), where there is one.
        input_step: of the layer's quantised input; None where the runtime keeps the bias in float.
        means: of the inputs that the weights meet: broadcastable to the weights' shape.
    """
    rows = weights.reshape(len(weights), -1).astype(np.float64)
    steps = np.array([_step_of(row) for row in rows])
    if bias is not None and input_step:
        steps = np.maximum(steps, np.abs(bias.astype(np.float64)) / (input_step * _BIAS_ROOM))
    whole = np.clip(np.rint(rows / steps[:, None]), -_MOST, _MOST)
    lost = (rows - whole * steps[:, None]).reshape(weights.shape)
    if means is None:
        shift = np.zeros(len(weights))
    else:
        shift = (lost * means.astype(np.float64)).reshape(len(weights), -1).sum(1)
    return Rounded(steps, whole.reshape(weights.shape).astype(np.int8), shift)


def _step_of(row: Array) -> float:
    largest = float(np.abs(row).max(initial=0.0))
    if largest <= _SMALLEST:
        return _SMALLEST
    grid = _grid_of(np.unique(np.abs(row)), largest)
    if grid is None:
        return largest / _MOST
    # The finest step that the grid is a multiple of: a bias gains from it.
    return grid / float(_MOST // round(largest / grid))


def _grid_of(sizes: Array, largest: float) -> float | None:
    """Return the largest number that all sizes are whole multiples of; None where they need more than 127 of it."""
    tolerance, smallest = largest * _SAME, largest / (_MOST + 0.5)
    sizes = sizes[sizes > tolerance]
    grid = float(sizes[0])
    for size in sizes[1:]:
        rest = float(size)
        while rest > tolerance:  # Euclid's algorithm, with room for float32's rounding
            grid, rest = rest, abs(grid - rest * round(grid / rest))
        if grid < smallest:
            return None
    counts = np.rint(sizes / grid)
    grid = float((sizes * counts).sum() / (counts * counts).sum())
    return grid if np.abs(sizes - counts * grid).max() <= tolerance else None
