"""A large picture looked at in little: what a rule about frames needs to see, for some millionths of a second a frame.

Every n-th row is taken whole, and averaged along itself to a grid of a fixed size. A full average would read all of a
1080p picture, six megabytes; every n-th pixel alone would be the sensor's noise. Memory is taken once a picture size.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# 16:9 at twelve pixels a cell of a 1080p picture; what is smaller than a cell is hardly seen.
GRID_WIDTH, GRID_HEIGHT = 160, 90


class SampledPicture:
    """The small form of one camera's pictures.

    Attributes:
        rows: (about 90, W) uint8, the rows that were taken, grey.
        grey: (90, 160) uint8. Both are written again by the next `take`.
    """

    def __init__(self) -> None:
        self.rows: Array = np.zeros((GRID_HEIGHT, GRID_WIDTH), np.uint8)
        self.grey: Array = np.zeros((GRID_HEIGHT, GRID_WIDTH), np.uint8)

    def take(self, image: Array) -> None:
        """Look at a picture, (H, W, 3) uint8 BGR."""
        taken = image[:: max(1, image.shape[0] // GRID_HEIGHT)]
        if self.rows.shape != taken.shape[:2]:
            self.rows = np.zeros(taken.shape[:2], np.uint8)
        # OpenCV reads the rows where they lie, with their distance; nothing is copied for it.
        cv2.cvtColor(taken, cv2.COLOR_BGR2GRAY, dst=self.rows)
        cv2.resize(self.rows, (GRID_WIDTH, GRID_HEIGHT), dst=self.grey, interpolation=cv2.INTER_AREA)
