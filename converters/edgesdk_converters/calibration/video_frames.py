"""Frames of a video, spread evenly in time.

A container's frame count is a claim: what cannot be reached is left out, and the rest is used. Frames that lie far
apart are sought, near ones reached by decoding what lies between. Which of the two is decided once for a video: with a
variable frame rate they end at different frames of one number, and a chosen frame must be the one that was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk_converters.calibration.picture_shelf import PictureShelf
from edgesdk_converters.quiet import quiet
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# A seek decodes from the last key frame, of which there is usually one in 250 frames.
_SEEK_BEYOND = 250


class VideoFrames:
    """The frames of a video file; a frame's name is its number, from 0."""

    kind = "video"
    alike_by_nature = True

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._capture: Any = None
        self._next = 0
        self._shelf = PictureShelf()
        self._open()
        self._found = self._frame_count()
        self._wanted = np.unique(np.linspace(0, self._found - 1, min(limit, self._found)).round().astype(int))
        self._seeks = bool(np.diff(self._wanted).max(initial=0) > _SEEK_BEYOND)

    @property
    def found(self) -> int:
        return self._found

    def names(self) -> Iterator[str]:
        return (str(number) for number in self._wanted)

    def read(self, name: str) -> Array:
        if name in self._shelf:
            return self._shelf.take(name)
        with quiet("calibration"):
            return self._frame(int(name))

    def keep(self, names: Sequence[str]) -> None:
        for name in sorted(names, key=int):
            self._shelf.put(name, self.read(name))
        self._shelf.only(names)
        self._close()

    def _frame(self, number: int) -> Array:
        if self._capture is None or number < self._next:
            self._open()
        if self._seeks:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        else:
            for _ in range(number - self._next):
                self._capture.grab()
        self._next = number + 1
        whole, frame = self._capture.read()
        if not whole:
            raise InputError(f"{self._path} has no frame {number}.", hint="The video may be cut off; copy it again.")
        picture: Array = frame
        return picture

    def _open(self) -> None:
        self._close()
        with quiet("calibration"):
            self._capture = cv2.VideoCapture(str(self._path))
        self._next = 0
        if not self._capture.isOpened():
            self._close()
            raise InputError(
                f"{self._path} is not a video that can be read.",
                hint="Give a folder of pictures, a video, or a .npy or .npz file.",
            )

    def _close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _frame_count(self) -> int:
        """Return what the container says; where it says nothing, count."""
        stated = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if stated > 0:
            return stated
        count = 0
        with quiet("calibration"):
            while self._capture.grab():
                count += 1
        self._close()
        if not count:
            raise InputError(f"{self._path} holds no frames.", hint="Copy the video again, or give pictures.")
        return count
