"""How well a frame's pixels explain a dump: residuals for every colour order, scaling and fill value, from moments.

The sums over all pixels are made once for a frame; then each hypothesis value = (pixel - mean) / std costs a few
multiplications. Residuals are in grey levels: a dump's channel is divided by how many of its units one grey level is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk.parity_doctor.lattice import Colour, Pad
from edgesdk.parity_doctor.pixels import Pixels
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array


def planes_of(pixels: Array) -> Array:
    """Return (6, N) float64 planes, as named by `lattice.PLANES`, of (N, 3) uint8 BGR."""
    picture = np.ascontiguousarray(pixels)[None]
    out = np.empty((6, len(pixels)), np.float64)
    out[:3] = pixels.T
    out[3] = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).reshape(-1)
    out[4] = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).reshape(-1)
    np.add(out[0], out[1], out=out[5])
    np.rint((out[5] + out[2]) / 3, out=out[5])
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some pixels of a dump.

    Attributes:
        at: (N,) places in the flattened picture.
        values: (C, N).
        unit: (C,) the dump's units for one grey level.
    """

    at: Array
    values: Array
    unit: Array


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over a sample: n, planes p (6) and values d (C) inside the picture's window, d in the border."""

    count: int
    planes: Array
    planes_squared: Array
    values: Array
    values_squared: Array
    products: Array
    border_count: int
    border: Array
    border_squared: Array
    unit: Array

    def residual(self, colour: Colour, pad: Pad, mean: Array, std: Array) -> Array:
        """Return (V,) mean squared residuals, in squared grey levels, of V scalings of (V, C) mean and std."""
        index = list(colour.planes)
        scale, shift = 1 / std, -mean / std
        p, pp = self.planes[index], self.planes_squared[index]
        dp = self.products[index, range(len(index))]
        inside = (
            self.values_squared
            - 2 * (scale * dp + shift * self.values)
            + scale * scale * pp
            + 2 * scale * shift * p
            + shift * shift * self.count
        )
        fill = np.zeros_like(scale) if pad.value is None else scale * pad.value + shift
        outside = self.border_squared - 2 * fill * self.border + fill * fill * self.border_count
        total = (inside + outside) / (self.unit * self.unit)
        every = (self.count + self.border_count) * len(index)
        residual: Array = np.maximum(total.sum(axis=1), 0) / every
        return residual

    def free_fit(self) -> FreeFit:
        """Fit each channel to its best plane with a mean and std of its own."""
        n = max(self.count, 1)
        covariance = self.products - np.outer(self.planes, self.values) / n
        plane_spread = np.maximum(self.planes_squared - self.planes**2 / n, 1e-9)
        value_spread = np.maximum(self.values_squared - self.values**2 / n, 0)
        explained = covariance**2 / plane_spread[:, None]
        best = explained.argmax(axis=0)
        channels = np.arange(len(best))
        left = np.maximum(value_spread - explained[best, channels], 0)
        scale = covariance[best, channels] / plane_spread[best]
        shift = (self.values - scale * self.planes[best]) / n
        border_left = np.maximum(self.border_squared - self.border**2 / max(self.border_count, 1), 0)
        every = (self.count + self.border_count) * len(best)
        residual = float(((left + border_left) / self.unit**2).sum() / every)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, std = -shift / scale, 1 / scale
        return FreeFit(tuple(map(int, best)), tuple(map(float, mean)), tuple(map(float, std)), residual)


@dataclass(frozen=True, slots=True)
class FreeFit:
    """The scaling that a dump itself suggests, in pixel units, and what it leaves unexplained (grey levels squared)."""

    planes: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    residual: float


def moments(pixels: Pixels, sample: Sample) -> Moments:
    """Sum up a frame's pixels against a sample of the dump."""
    height, width = pixels.values.shape[:2]
    top, left, window_h, window_w = pixels.window
    values = sample.values
    chosen = pixels.values.reshape(-1, 3)[sample.at]
    border = values[:, :0]
    if (window_h, window_w) != (height, width):
        row, column = sample.at // width, sample.at % width
        inside = (row >= top) & (row < top + window_h) & (column >= left) & (column < left + window_w)
        border, values, chosen = values[:, ~inside], values[:, inside], chosen[inside]
    planes = planes_of(chosen) if len(chosen) else np.zeros((6, 0))
    return Moments(
        count=values.shape[1],
        planes=planes.sum(axis=1),
        planes_squared=np.einsum("pn,pn->p", planes, planes),
        values=values.sum(axis=1),
        values_squared=np.einsum("cn,cn->c", values, values),
        products=planes @ values.T,
        border_count=border.shape[1],
        border=border.sum(axis=1),
        border_squared=np.einsum("cn,cn->c", border, border),
        unit=sample.unit,
    )
