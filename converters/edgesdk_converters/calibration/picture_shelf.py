"""Pictures put aside on the disk, as PNG, for as long as somebody may ask for them."""

from __future__ import annotations

import errno
import shutil
import tempfile
import weakref
from collections.abc import Collection
from pathlib import Path

import numpy as np

from edgesdk_converters.framework_edge import needs
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.tensor import Array


class PictureShelf:
    """A private folder of pictures by name; it is removed with this object."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="edgesdk-pictures-")
        self._folder = Path(folder)
        self._tidy = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def __contains__(self, name: str) -> bool:
        return self._place(name).is_file()

    def put(self, name: str, picture: Array) -> None:
        """Store (H, W, 3) uint8 BGR without loss.

        Raises:
            NoSpace: the disk is full.
        """
        with needs("PIL", extra="int8"):
            from PIL import Image
        try:
            Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1])).save(self._place(name), compress_level=1)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise InputError(f"{self._folder} cannot be written: {error}", hint="Check TMPDIR.") from error
            raise NoSpace("The disk is full.", hint="Free some space, or set TMPDIR to another disk.") from error

    def take(self, name: str) -> Array:
        """Return a stored picture."""
        return read_image(self._place(name))

    def only(self, names: Collection[str]) -> None:
        """Drop all but these."""
        kept = {self._place(name) for name in names}
        for place in self._folder.iterdir():
            if place not in kept:
                place.unlink()

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}.png"
