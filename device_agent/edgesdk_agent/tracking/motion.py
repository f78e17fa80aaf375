"""Where objects are and where they are going: a Kalman filter of constant velocity, all objects at once.

The state of an object is its box as centre and size, and how fast each of these four changes. Measurement and process
noise touch each of the four alone, so the usual 8x8 filter falls apart, exactly, into four filters of a value and its
rate: everything is arithmetic on (N, 4) arrays, and no matrix is inverted. Noise is in proportion to the object's size,
and grows with the time since the last frame, however long that was.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from edgesdk_targets.tensor import Array

# Standard deviations in parts of the object's size: of a measured box; of how its velocity changes in a second; of the
# velocity of an object that was seen once.
_MEASURED = 0.05
_ACCELERATION = 1.0
_FIRST_VELOCITY = 3.0


@dataclass(slots=True, eq=False)
class Motion:
    """The state of N objects.

    Attributes:
        value: (N, 4) float64, centre x, centre y, width, height; pixels.
        rate: (N, 4) how each changes, pixels a second.
        value_var, cross_var, rate_var: (N, 4) variance of the value, covariance of both, variance of the rate.
    """

    value: Array
    rate: Array
    value_var: Array
    cross_var: Array
    rate_var: Array

    @classmethod
    def of(cls, boxes: Array) -> Motion:
        """Begin with boxes that were seen once, (N, 4) x1 y1 x2 y2."""
        value = _centred(boxes)
        scale = _scale(value)
        zero = np.zeros_like(value)
        return cls(value, zero, zero + (_MEASURED * scale) ** 2, zero.copy(), zero + (_FIRST_VELOCITY * scale) ** 2)

    def __len__(self) -> int:
        return len(self.value)

    def boxes(self) -> Array:
        """Return (N, 4) float64 x1 y1 x2 y2."""
        half = self.value[:, 2:] / 2
        return np.concatenate([self.value[:, :2] - half, self.value[:, :2] + half], axis=1)

    def predict(self, passed_s: float) -> None:
        """Let time pass."""
        noise = (_ACCELERATION * _scale(self.value)) ** 2
        self.value += self.rate * passed_s
        # An object that shrinks does not turn inside out while it is not seen.
        np.maximum(self.value[:, 2:], 1.0, out=self.value[:, 2:])
        self.value_var += passed_s * (2.0 * self.cross_var + passed_s * self.rate_var) + noise * (passed_s**3 / 3.0)
        self.cross_var += passed_s * self.rate_var + noise * (passed_s**2 / 2.0)
        self.rate_var += noise * passed_s

    def correct(self, which: Array, boxes: Array) -> None:
        """Take in what was measured of some objects.

        Args:
            which: (K,) int64, their numbers, each once.
            boxes: (K, 4) x1 y1 x2 y2.
        """
        value, value_var, cross_var = self.value[which], self.value_var[which], self.cross_var[which]
        total_var = value_var + (_MEASURED * _scale(value)) ** 2
        gain, rate_gain = value_var / total_var, cross_var / total_var
        surprise = _centred(boxes) - value
        self.value[which] = value + gain * surprise
        self.rate[which] += rate_gain * surprise
        self.value_var[which] = value_var * (1.0 - gain)
        self.rate_var[which] -= rate_gain * cross_var
        self.cross_var[which] = cross_var * (1.0 - gain)

    def distances(self, which: Array, boxes: Array) -> Array:
        """Return the squared Mahalanobis distance of each object to each box, (K, C) float64; 4 degrees of freedom."""
        value = self.value[which]
        variance = self.value_var[which] + (_MEASURED * _scale(value)) ** 2
        surprise = _centred(boxes)[None] - value[:, None]
        squared: Array = (surprise**2 / variance[:, None]).sum(axis=2)
        return squared

    def keep(self, which: Array) -> Motion:
        """Return the state of some objects, by number or as a mask."""
        return Motion(*(getattr(self, field.name)[which] for field in fields(self)))

    def joined(self, other: Motion) -> Motion:
        """Return these objects and the others behind them."""
        return Motion(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))


def _centred(boxes: Array) -> Array:
    boxes = boxes.astype(np.float64, copy=False)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _scale(value: Array) -> Array:
    """Return how large objects are, (N, 1) pixels: the mean of width and height."""
    scale: Array = (value[:, 2:3] + value[:, 3:4]) / 2
    return np.maximum(scale, 1.0)
