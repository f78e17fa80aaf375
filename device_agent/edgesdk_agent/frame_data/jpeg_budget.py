"""A picture as JPEG of so many bytes at most: the best quality that fits, and where none does, a smaller picture.

The size of a JPEG grows with its quality, so the search halves the range; a few encodings find the best of all. Below
the lowest useful quality blocks hide what the picture is kept for, and fewer pixels show more.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_BEST, _LOWEST = 92, 40
# Enough to come within 2 of the best quality between the two.
_HALVINGS = 5
_SCALE_STEP = 0.75
_SMALLEST_SIDE = 32


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A compressed picture.

    Attributes:
        data: the file.
        quality: of its encoding, 1 to 100.
        width, height: in pixels; smaller than the picture's where no quality fitted.
    """

    data: bytes
    quality: int
    width: int
    height: int


class JpegBudget:
    """Compress pictures to a budget, and count; may be called from several threads.

    Args:
        max_bytes: of each picture.

    Raises:
        InputError: less than a picture of any size takes.
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 2048:
            raise InputError(f"{max_bytes} bytes are too few for a picture.", hint="Give at least 2048.")
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._counts = {"pictures": 0, "bytes": 0, "raw_bytes": 0, "scaled": 0, "encodings": 0}

    def compress(self, image: Array) -> Jpeg:
        """Return (H, W, 3) uint8 BGR as a JPEG within the budget.

        Raises:
            InputError: not even the smallest picture fits, or it is no picture.
        """
        tries, scaled = 0, image
        while True:
            found, used = self._best_quality(scaled)
            tries += used
            if found is not None:
                break
            height, width = (round(side * _SCALE_STEP) for side in scaled.shape[:2])
            if min(height, width) < _SMALLEST_SIDE:
                raise InputError(f"No picture of {self.max_bytes} bytes can be made.", hint="Raise the budget.")
            scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        with self._lock:
            self._counts["pictures"] += 1
            self._counts["bytes"] += len(found.data)
            self._counts["raw_bytes"] += image.nbytes
            self._counts["scaled"] += scaled is not image
            self._counts["encodings"] += tries
        return found

    def counts(self) -> Mapping[str, int]:
        """Return how many pictures, their bytes, what they were raw, how many were scaled, and encodings made."""
        with self._lock:
            return dict(self._counts)

    def _best_quality(self, image: Array) -> tuple[Jpeg | None, int]:
        best = _encoded(image, _BEST)
        if len(best.data) <= self.max_bytes:
            return best, 1
        low, high = _encoded(image, _LOWEST), _BEST
        if len(low.data) > self.max_bytes:
            return None, 2
        for tried in range(_HALVINGS):
            middle = (low.quality + high) // 2
            if middle == low.quality:
                return low, tried + 2
            one = _encoded(image, middle)
            if len(one.data) <= self.max_bytes:
                low = one
            else:
                high = middle
        return low, _HALVINGS + 2


def _encoded(image: Array, quality: int) -> Jpeg:
    try:
        done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise InputError("This is no picture that JPEG can hold.", hint="Give (H, W, 3) uint8.") from error
    if not done:
        raise InputError("This picture cannot be written as JPEG.", hint="It may be larger than 65500 pixels a side.")
    return Jpeg(data.tobytes(), quality, image.shape[1], image.shape[0])
