"""Pictures of a folder and its subfolders; names only are kept.

OpenCV reads a picture that was cut off as grey from there on, and says nothing. Such a picture would bend the ranges, so
Pillow, which refuses it, decodes each one first.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgesdk_converters.calibration.sampled import sampled
from edgesdk_converters.framework_edge import needs, reason
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES, read_image
from edgesdk_targets.tensor import Array


class PictureFolder:
    """A folder, labelled or not; its subfolders too, links to folders not followed."""

    kind = "folder"
    alike_by_nature = False

    def __init__(self, folder: Path, *, limit: int, seed: int) -> None:
        self._folder = folder
        self._names = sorted(_pictures_below(folder))
        if not self._names:
            raise InputError(f"{folder} holds no pictures.", hint="Give a folder with JPEG, PNG or BMP files.")
        self._order = sampled(len(self._names), limit, seed)

    @property
    def found(self) -> int:
        return len(self._names)

    def names(self) -> Iterator[str]:
        return (self._names[index] for index in self._order)

    def read(self, name: str) -> Array:
        path = self._folder / name
        check_whole(path)
        return read_image(path)

    def keep(self, names: Sequence[str]) -> None:
        """Do nothing: files stay where they are."""


def _pictures_below(folder: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror or error}.", hint="Check the folder's rights."
        ) from error

    for place, _, files in os.walk(folder, onerror=refuse):
        for name in files:
            if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield (Path(place) / name).relative_to(folder).as_posix()


def check_whole(path: Path) -> None:
    """Check that a picture file is not cut off; a file that Pillow does not know is left to OpenCV.

    Raises:
        InputError: it ends too early or is damaged.
    """
    with needs("PIL", extra="int8"):
        from PIL import Image, UnidentifiedImageError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures and odd metadata
            with Image.open(path) as image:
                image.load()
    except UnidentifiedImageError:
        return
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is damaged or cut off: {reason(error)}", hint="Copy it again.") from error
