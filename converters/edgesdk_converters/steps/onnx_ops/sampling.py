"""Where a resized axis looks in the original, and what it takes from there: plain numbers, and one product to apply them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Weights: TypeAlias = npt.NDArray[np.float64]  # (out, in): row i says what output i is made of


def positions(length: int, wanted: int, scale: float, rule: str) -> list[float]:
    """Return where in the input, in pixels, each output element lies; `rule` is ONNX's coordinate transformation."""
    if rule == "align_corners":
        return [0.0 if wanted == 1 else i * (length - 1) / (wanted - 1) for i in range(wanted)]
    if rule == "asymmetric":
        return [i / scale for i in range(wanted)]
    if rule == "pytorch_half_pixel" and wanted == 1:
        return [0.0]
    shift = 0.5 * length * (1 - wanted / (scale * length)) if rule == "half_pixel_symmetric" else 0.0
    return [shift + (i + 0.5) / scale - 0.5 for i in range(wanted)]


def linear_weights(places: Sequence[float], length: int) -> Weights:
    """Return the weights of the two neighbours of each place."""
    weights = np.zeros((len(places), length))
    for row, place in enumerate(places):
        inside = min(max(place, 0.0), length - 1.0)
        low = min(math.floor(inside), length - 1)
        high = min(low + 1, length - 1)
        weights[row, low] += 1.0 - (inside - low)
        weights[row, high] += inside - low
    return weights


def cubic_weights(places: Sequence[float], length: int, a: float) -> Weights:
    """Return the weights of the four neighbours of each place; `a` is the cubic's coefficient."""
    weights = np.zeros((len(places), length))
    for row, place in enumerate(places):
        low = math.floor(place)
        for tap in range(low - 1, low + 3):
            weights[row, min(max(tap, 0), length - 1)] += _cubic(abs(place - tap), a)
    return weights


def _cubic(d: float, a: float) -> float:
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


def blend(x: Tensor, axis: int, weights: Weights) -> Tensor:
    """Return x with an axis replaced by weighted sums along it."""
    matrix = torch.tensor(weights.tolist(), dtype=x.dtype)
    return torch.movedim(torch.matmul(torch.movedim(x, axis, -1), matrix.t()), -1, axis)
