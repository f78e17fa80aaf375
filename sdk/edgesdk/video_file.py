"""Write pictures as a video, whole or not at all.

OpenCV's writer does not say when the disk is full, so a finished file is read back before it gets its name.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# Container → codec that every build of OpenCV can write.
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
# Less than this left, and the disk counts as the reason for an unfinished file.
_FULL_BYTES = 1 << 20


class VideoFile:
    """A video being written beside its final name; `close` puts it in place.

    Args:
        fps: frames a second; may be set until the first picture is written.

    Raises:
        InputError: the suffix is not known, or the folder cannot be made.
    """

    def __init__(self, path: Path, fps: float = 25.0) -> None:
        if path.suffix.lower() not in _CODECS:
            raise InputError(f"{path} has no known video suffix.", hint=f"Use one of {', '.join(_CODECS)}.")
        if path.is_dir():
            raise InputError(f"{path} is a folder.", hint="Give the video another name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, f": {error.strerror or error}") from error
        self.fps = fps
        self._path = path
        self._part = path.with_name(f".writing-{path.name}")
        self._writer: Any = None
        self._size = (0, 0)
        self._count = 0

    def write(self, image: Array) -> None:
        """Append (H, W, 3) uint8 BGR; the first picture decides the size.

        Raises:
            InputError: the place cannot be written.
        """
        if self._writer is None:
            self._open((image.shape[1], image.shape[0]))
        if (image.shape[1], image.shape[0]) != self._size:
            image = cv2.resize(image, self._size)
        self._writer.write(image)
        self._count += 1

    def close(self) -> None:
        """Finish the file and give it its name; without a picture there is none.

        Raises:
            NoSpace: the disk is full; what was written is gone.
            InputError: the file could not be finished for another reason.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if not self._is_whole():
            self._part.unlink(missing_ok=True)
            if shutil.disk_usage(self._path.parent).free < _FULL_BYTES:
                raise NoSpace(f"The disk is full; {self._path} was not written.", hint="Free some space.")
            raise _unwritable(self._path, " whole")
        self._part.replace(self._path)

    def _open(self, size: tuple[int, int]) -> None:
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._part), codec, self.fps, size)
        if not writer.isOpened():
            self._part.unlink(missing_ok=True)
            raise _unwritable(self._path, "")
        self._writer, self._size = writer, size

    def _is_whole(self) -> bool:
        """Read back how many pictures the file says it holds; Matroska tells it by the duration, so nearly counts."""
        written = cv2.VideoCapture(str(self._part))
        try:
            return bool(written.isOpened() and written.get(cv2.CAP_PROP_FRAME_COUNT) >= max(1, 0.98 * self._count - 1))
        finally:
            written.release()


def _unwritable(path: Path, how: str) -> InputError:
    return InputError(f"{path} cannot be written{how}.", hint="Check the folder, its rights and the disk.")
