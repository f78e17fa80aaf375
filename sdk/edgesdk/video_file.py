"""Write pictures as a video, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Container → codec that every build of OpenCV can write.
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}


class VideoFile:
    """A video being written beside its final name; `close` puts it in place.

    Raises:
        InputError: the suffix is not known, or the place cannot be written.
    """

    def __init__(self, path: Path, fps: float) -> None:
        if path.suffix.lower() not in _CODECS:
            raise InputError(f"{path} has no known video suffix.", hint=f"Use one of {', '.join(_CODECS)}.")
        self._path = path
        self._part = path.with_name(f".writing-{path.name}")
        self._fps = fps
        self._writer: Any = None
        self._size: tuple[int, int] | None = None

    def write(self, image: Array) -> None:
        """Append (H, W, 3) uint8 BGR; the first picture decides the size."""
        size = (image.shape[1], image.shape[0])
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
            self._writer, self._size = cv2.VideoWriter(str(self._part), codec, self._fps, size), size
            if not self._writer.isOpened():
                self._writer = None
                raise InputError(f"{self._path} cannot be written.", hint="Check the folder, its rights and the disk.")
        if size != self._size:
            image = cv2.resize(image, self._size)
        self._writer.write(image)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
            self._part.replace(self._path)
