"""Round a layer's weights in turn, each of the later ones making up for the errors of the earlier ones (pure).

Rounding every weight to the nearest step is best only where a layer's inputs have nothing to do with each other. Where they
rise and fall together, as neighbouring pixels do, an error of one weight can be taken back by another: with the second
moments of the inputs known, the best correction of the weights still to be rounded has a closed form (Frantar et al. 2023,
GPTQ, arXiv:2210.17323). No training, no labels; the result depends on nothing but weights and moments.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.tensor import Array

_MOST = 127
# Of the mean second moment, added to each: inputs that are always nought leave no direction free to run away in.
_DAMPING = 1e-3
# Corrections of the columns behind are applied once for so many columns: a matrix product is faster than many sums.
_BLOCK = 64
_SMALLEST = 1e-12


def compensated(weights: Array, moments: Array) -> Array:
    """Return weights of which each is a whole number of its row's step, the largest of a row 127 of them.

    Args:
        weights: (G, O, K): groups, output channels, inputs that each meets.
        moments: (G, K, K): mean of x·xᵀ over the inputs x of a group; about their mean where the bias takes that up.

    Returns:
        (G, O, K) float64. A row of noughts stays as it is.
    """
    weights, moments = weights.astype(np.float64), moments.astype(np.float64)
    steps = np.maximum(np.abs(weights).max(axis=2), _SMALLEST) / _MOST
    order = np.argsort(-np.einsum("gkk->gk", moments), axis=1, kind="stable")  # what matters most is rounded first
    rows = np.take_along_axis(weights, order[:, None], axis=2)
    whole = _in_turn(rows, _corrections(moments, order), steps)
    back = np.argsort(order, axis=1)
    whole = np.take_along_axis(whole, back[:, None], axis=2)
    # The step is told by the largest weight: corrections may have moved it, and it is put back to the end of the range.
    largest = np.abs(weights).argmax(axis=2)[..., None]
    ends = np.sign(np.take_along_axis(weights, largest, axis=2)) * _MOST
    np.put_along_axis(whole, largest, ends, axis=2)
    result: Array = whole * steps[..., None]
    return result


def _corrections(moments: Array, order: Array) -> Array:
    """Return U, (G, K, K), upper triangular, with Uᵀ·U the inverse of the damped moments in this order."""
    ordered = np.take_along_axis(np.take_along_axis(moments, order[..., None], axis=1), order[:, None], axis=2)
    mean = np.einsum("gkk->gk", ordered).mean(axis=1)
    damping = (_DAMPING * mean + _SMALLEST)[:, None, None] * np.eye(ordered.shape[1])
    upper: Array = np.linalg.cholesky(np.linalg.inv(ordered + damping)).transpose(0, 2, 1)
    return upper


def _in_turn(rows: Array, upper: Array, steps: Array) -> Array:
    """Round column by column; `rows` is used up."""
    whole = np.empty_like(rows)
    count = rows.shape[2]
    for start in range(0, count, _BLOCK):
        end = min(start + _BLOCK, count)
        errors = np.empty((*rows.shape[:2], end - start))
        for k in range(start, end):
            whole[..., k] = np.clip(np.rint(rows[..., k] / steps), -_MOST, _MOST)
            error = (rows[..., k] - whole[..., k] * steps) / upper[:, k, k, None]
            rows[..., k + 1 : end] -= error[..., None] * upper[:, None, k, k + 1 : end]
            errors[..., k - start] = error
        rows[..., end:] -= errors @ upper[:, start:end, end:]
    return whole
