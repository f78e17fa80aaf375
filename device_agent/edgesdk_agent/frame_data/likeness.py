"""Whether a picture shows what the last one that went through showed.

- `motion`: so many cells of the sampled picture changed by more than noise does. It sees a small object anywhere.
- `hash`: the perceptual difference hash (dHash) of 64 bits, at most so many of which differ. It sees the scene, and
  neither light nor small things: for slides, time-lapse, a camera that is turned.

Compared is always with the last picture that *went through*, so that what changes slowly goes through in the end.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# Grey levels by which a cell changes without any movement: noise, and what a codec does between key frames.
_NOISE = 14
_HASH_SIZE = (9, 8)


class Likeness(Protocol):
    """A rule that remembers one picture."""

    def is_alike(self, grey: Array) -> bool:
        """Say whether a sampled picture shows what the remembered one shows; False where none is remembered."""
        ...

    def remember(self) -> None:
        """Remember the picture that was asked about last."""
        ...


class MotionLikeness:
    """Count cells that changed.

    Args:
        shape: of the sampled picture.
        part: of its cells (0..1) that have to change for something to have moved.
    """

    def __init__(self, shape: tuple[int, int], part: float) -> None:
        self._least = max(1, round(part * shape[0] * shape[1]))
        self._before: Array = np.zeros(shape, np.uint8)
        self._now: Array = np.zeros(shape, np.uint8)
        self._changed: Array = np.zeros(shape, np.uint8)
        self._any = False

    def is_alike(self, grey: Array) -> bool:
        """Say whether too few cells differ from the remembered picture."""
        np.copyto(self._now, grey)
        if not self._any:
            return False
        cv2.absdiff(grey, self._before, dst=self._changed)
        cv2.threshold(self._changed, _NOISE, 1, cv2.THRESH_BINARY, dst=self._changed)
        return bool(cv2.countNonZero(self._changed) < self._least)

    def remember(self) -> None:
        """Remember the picture that was asked about last."""
        self._before, self._now, self._any = self._now, self._before, True


class HashLikeness:
    """Compare difference hashes: is each cell of a 9 x 8 picture brighter than its right neighbour?

    Args:
        distance: how many of the 64 bits may differ.
    """

    def __init__(self, distance: int) -> None:
        self._distance = distance
        self._small: Array = np.zeros(_HASH_SIZE[::-1], np.uint8)
        self._before: Array | None = None
        self._now: Array | None = None

    def is_alike(self, grey: Array) -> bool:
        """Say whether at most `distance` bits differ from the remembered picture."""
        cv2.resize(grey, _HASH_SIZE, dst=self._small, interpolation=cv2.INTER_AREA)
        self._now = self._small[:, 1:] < self._small[:, :-1]
        return self._before is not None and int(np.count_nonzero(self._now != self._before)) <= self._distance

    def remember(self) -> None:
        """Remember the picture that was asked about last."""
        self._before = self._now
