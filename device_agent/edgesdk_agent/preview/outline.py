"""Zones and lines as they are drawn into a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_COLOUR = (255, 200, 60)


@dataclass(frozen=True, slots=True)
class Outline:
    """A zone, or a line of two corners or more.

    Attributes:
        name: written beside its first corner.
        corners: (x, y) as fractions of the picture's width and height.
        closed: a zone; False is a line.
    """

    name: str
    corners: Sequence[tuple[float, float]]
    closed: bool = True


def draw_outlines(image: Array, outlines: Sequence[Outline]) -> None:
    """Draw onto (H, W, 3) uint8 BGR, in place."""
    height, width = image.shape[:2]
    for outline in outlines:
        corners = np.rint(np.asarray(outline.corners, np.float64) * (width - 1, height - 1)).astype(np.int32)
        cv2.polylines(image, [corners], outline.closed, _COLOUR, max(1, min(width, height) // 300), cv2.LINE_AA)
        x, y = (int(value) for value in corners[0])
        place = (min(x + 4, width - 1), max(y + 14, 12))
        cv2.putText(image, outline.name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _COLOUR, 1, cv2.LINE_AA)
