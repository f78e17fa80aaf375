"""Resize as PIL and torchvision do it: the filter grows with the reduction (antialiased); OpenCV has no such mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgesdk_targets.tensor import Array


def _triangle(x: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: Array) -> Array:
    # Keys' kernel with a = -0.5, PIL's; OpenCV's cubic has -0.75 and never grows.
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: Array) -> Array:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


# Name → kernel, and half of its width before it grows.
KERNELS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "antialiased linear": (_triangle, 1.0),
    "antialiased cubic": (_cubic, 2.0),
    "antialiased lanczos": (_lanczos, 3.0),
}


def antialiased(picture: Array, size: tuple[int, int], kernel: str) -> Array:
    """Resize (H, W, C) uint8 to `size` (height, width) with a filter of `KERNELS`."""
    # Columns first, as PIL does: the rounding between the passes shows.
    columns = _along_rows(np.ascontiguousarray(picture.transpose(1, 0, 2)), size[1], *KERNELS[kernel])
    return _along_rows(np.ascontiguousarray(columns.transpose(1, 0, 2)), size[0], *KERNELS[kernel])


def _along_rows(values: Array, length: int, kernel: Callable[[Array], Array], reach: float) -> Array:
    """Resample the first axis of uint8 pixels: each output row is a weighted sum of a few input rows."""
    size = values.shape[0]
    ratio = size / length
    grown = max(ratio, 1.0)
    centres = (np.arange(length) + 0.5) * ratio
    first = np.floor(centres - reach * grown).astype(int)
    taps = int(np.ceil(2 * reach * grown)) + 2
    at = first[:, None] + np.arange(taps)
    weights = kernel((at + 0.5 - centres[:, None]) / grown)
    # Beyond the edge there is nothing: the weights left inside are made to sum to one.
    weights = np.where((at >= 0) & (at < size), weights, 0.0)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    at = np.clip(at, 0, size - 1)
    out = np.zeros((length, *values.shape[1:]), np.float32)
    for tap in range(taps):
        if weights[:, tap].any():
            out += weights[:, tap, None, None] * values[at[:, tap]]
    # PIL keeps whole pixels after each of its two passes.
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)
