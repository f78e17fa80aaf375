"""Render single digits, rows of digits and streams of rows from 8x8 images, on the conveyor's belt.

Everything is drawn at twice the size that the models see, as a camera would deliver it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from make_data import Digits
from numpy.typing import NDArray

from edgesdk_agent.cameras.conveyor_scene import Ink, belt_texture, paint_digit

Array = NDArray[Any]

CROP_PX = 64
ROW_HEIGHT, ROW_WIDTH = 64, 320
STRIP_WIDTH = 16
_BELT_WIDTH = 2048
_PITCH = (39.0, 44.0)
_MARGIN = 26  # free belt on each side of a row; the streaming reader speaks after it has seen a digit's end


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A picture with digits in a row.

    Attributes:
        image: (64, W, 3) uint8 BGR.
        text: the digits from left to right.
    """

    image: Array
    text: str


class Renderer:
    """Draw labelled pictures at random from one split.

    Args:
        digits: where the images are taken from.
        seed: decides all pictures, in the order in which they are asked for.
        spread: how much the digits of a row differ in size, width and slant; training asks for more than there is.
    """

    def __init__(self, digits: Digits, seed: int, *, spread: float = 1.0) -> None:
        self._digits = digits
        self._spread = spread
        self._rng = np.random.default_rng(seed)
        self._belts = [belt_texture(self._rng, ROW_HEIGHT, _BELT_WIDTH) for _ in range(6)]
        self._noise = self._rng.integers(0, 15, self._belts[0].shape, np.uint8)

    def crop(self) -> tuple[Array, int]:
        """Draw one digit, (64, 64, 3) uint8 BGR, and return it with its label."""
        rng = self._rng
        canvas = self._belt(CROP_PX)
        which = int(rng.integers(len(self._digits.labels)))
        ink = Ink.random(rng, sizes=(36.0, 54.0), tilt_deg=15.0)
        x, y = rng.uniform(-4.0, 4.0, 2) + CROP_PX / 2
        paint_digit(canvas, self._digits.images[which], (float(x), float(y)), ink)
        return self._seen(canvas), int(self._digits.labels[which])

    def row(self) -> Row:
        """Draw four to six digits in a row, (64, 320, 3) uint8 BGR."""
        canvas = self._belt(ROW_WIDTH)
        count = int(self._rng.integers(4, 7))
        pitch = self._rng.uniform(*_PITCH)
        left = self._rng.uniform(_MARGIN, ROW_WIDTH - _MARGIN - count * pitch)
        text = self._write(canvas, float(left), count, float(pitch))
        return Row(self._seen(canvas), text)

    def stream(self, strips: int, rows: int) -> Row:
        """Draw `rows` rows behind one another on one long belt, (64, 16 * strips, 3) uint8 BGR."""
        width = strips * STRIP_WIDTH
        canvas = self._belt(width)
        share, text = width / rows, ""
        for number in range(rows):
            count = int(self._rng.integers(4, 7))
            pitch = self._rng.uniform(*_PITCH)
            left = number * share + self._rng.uniform(_MARGIN, share - _MARGIN - count * pitch)
            text += self._write(canvas, float(left), count, float(pitch))
        return Row(self._seen(canvas), text)

    def _write(self, canvas: Array, left: float, count: int, pitch: float) -> str:
        rng = self._rng
        ink = Ink.random(rng, sizes=(36.0, 44.0), tilt_deg=5.0)
        chosen = rng.integers(len(self._digits.labels), size=count)
        base = ROW_HEIGHT / 2 + rng.uniform(-5.0, 5.0)
        for place, which in enumerate(chosen):
            # One hand wrote the row: the same pen, but never twice the same slant and height.
            pen = replace(
                ink,
                size_px=ink.size_px + self._vary(2.0),
                angle_deg=ink.angle_deg + self._vary(4.0),
                aspect=ink.aspect + self._vary(0.05),
                slant=ink.slant + self._vary(0.1),
            )
            x = left + (place + 0.5) * pitch + rng.uniform(-2.0, 2.0)
            paint_digit(canvas, self._digits.images[which], (float(x), float(base + rng.uniform(-2.0, 2.0))), pen)
        return "".join(str(label) for label in self._digits.labels[chosen])

    def _vary(self, most: float) -> float:
        return float(self._rng.uniform(-most, most)) * self._spread

    def _belt(self, width: int) -> Array:
        belt = self._belts[int(self._rng.integers(len(self._belts)))]
        left = int(self._rng.integers(_BELT_WIDTH - width + 1))
        return belt[:, left : left + width].copy()

    def _seen(self, canvas: Array) -> Array:
        """Add the light and the noise of a camera."""
        left = int(self._rng.integers(_BELT_WIDTH - canvas.shape[1] + 1))
        dimmed = cv2.convertScaleAbs(canvas, alpha=float(self._rng.uniform(0.8, 1.1)))
        seen: Array = cv2.add(dimmed, self._noise[:, left : left + canvas.shape[1]])
        return seen
