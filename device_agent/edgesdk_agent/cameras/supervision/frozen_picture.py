"""Tell a picture that stands still from a scene that does: a sensor's noise and a codec's rounding never repeat exactly.

A few lines of each picture are looked at all the time, which costs about 0.04 ms at 1080p. Where those have been the
same for half the time, the whole picture is looked at now and then, so that only one that is the same to the last bit
counts as frozen. Nothing of frame size is kept or made of a picture whose lines lie one after the other.
"""

from __future__ import annotations

import zlib

import numpy as np

from edgesdk_targets.tensor import Array

_LINES = 16
# How often the whole picture is looked at in the second half.
_WHOLE_LOOKS = 8


class FrozenPicture:
    """Say whether a camera has shown the very same picture for too long."""

    def __init__(self) -> None:
        self._lines: int | None = None
        self._lines_since = 0.0
        self._whole: int | None = None
        self._whole_since = 0.0
        self._next_look = 0.0

    def see(self, picture: Array, at: float, after_s: float) -> bool:
        """Note a picture, and say whether it is frozen.

        Args:
            picture: (H, W, 3) uint8.
            at: when it came, monotonic seconds.
            after_s: for how long it may be the same.
        """
        lines = lines_digest(picture)
        if lines != self._lines:
            self._lines, self._lines_since, self._whole = lines, at, None
            return False
        if at - self._lines_since < after_s / 2:
            return False
        if self._whole is None or at >= self._next_look:
            self._next_look = at + after_s / 2 / _WHOLE_LOOKS
            whole = whole_digest(picture)
            if whole != self._whole:
                self._whole, self._whole_since = whole, at
        return at - self._whole_since >= after_s / 2


def lines_digest(picture: Array) -> int:
    """Return a checksum of a few lines, evenly spread over the picture's height."""
    height = picture.shape[0]
    digest: int = height
    for line in range(_LINES):
        digest = zlib.crc32(np.ascontiguousarray(picture[(2 * line + 1) * height // (2 * _LINES)]).data, digest)
    return digest


def whole_digest(picture: Array) -> int:
    """Return a checksum of the whole picture."""
    return zlib.crc32(np.ascontiguousarray(picture).data)
