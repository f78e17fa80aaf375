"""A folder of pictures, in the order of their names, or one picture."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo, FrameLost
from edgesdk_targets.errors import CameraLost, InputError
from edgesdk_targets.preprocess.image_file import list_images, read_image
from edgesdk_targets.tensor import Array


class FolderCamera:
    """Deliver the pictures of a folder once, or again and again.

    The list is made when the camera is opened. A picture that cannot be read is one lost frame.

    Args:
        path: a folder, or one picture.
        loop: begin again after the last picture.

    Raises:
        InputError: there is no such folder, or not one readable picture in it.
    """

    def __init__(self, path: str | Path, *, loop: bool = False) -> None:
        self._path = Path(path)
        self._files = _pictures(self._path)
        self._loop = loop
        self._next = 0
        self._closed = threading.Event()
        first = self._first_readable()
        count = f"{len(self._files)} pictures" if self._path.is_dir() else "one picture"
        self._info = CameraInfo(first.shape[1], first.shape[0], None, live=False, description=f"{path} ({count})")

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture, turned as its EXIF says.

        Raises:
            CameraLost: the folder is gone.
            FrameLost: this picture cannot be read.
        """
        if self._loop and self._next == len(self._files):
            self._next = 0
        if self._closed.is_set() or self._next == len(self._files):
            return None
        file = self._files[self._next]
        self._next += 1
        try:
            picture = read_image(file)
        except InputError as error:
            if not self._path.exists():
                raise CameraLost(f"{self._path} is gone.", hint="Check that its disk is still mounted.") from error
            raise FrameLost(error.message, cause="unreadable") from error
        if out is None or out.shape != picture.shape:
            return picture
        np.copyto(out, picture)
        return out

    def close(self) -> None:
        self._closed.set()

    def _first_readable(self) -> Array:
        for file in self._files:
            with contextlib.suppress(InputError):
                return read_image(file)
        raise InputError(
            f"Not one picture in {self._path} can be read.",
            hint="Give JPEG, PNG, BMP, WebP or TIFF files.",
        )


def _pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    try:
        files = list_images(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint="Give a folder of pictures.") from error
    if not files:
        raise InputError(
            f"There are no pictures in {path}.",
            hint="Give a folder that holds JPEG, PNG, BMP, WebP or TIFF files.",
        )
    return files
