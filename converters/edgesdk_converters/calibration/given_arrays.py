"""Pictures from any iterable of arrays, also one that can be gone through only once, or never ends.

It is read until enough is seen, and what was read lies on the disk until the choice is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from edgesdk_converters.calibration.picture_shelf import PictureShelf
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


class GivenArrays:
    """An iterable of pictures, (H, W, 3) uint8 BGR or (H, W) gray; sizes may differ.

    Args:
        limit: so many are read from it; the iterable may be endless.
    """

    kind = "arrays"
    alike_by_nature = False

    def __init__(self, pictures: Iterable[Array], *, limit: int) -> None:
        if not isinstance(pictures, Iterable):
            raise InputError(
                f"Calibration data cannot be a {type(pictures).__name__}.",
                hint="Give a folder, a video, a .npy file, or an iterable of (H, W, 3) uint8 arrays.",
            )
        self._pictures = pictures
        self._limit = limit
        self._shelf = PictureShelf()
        self._found = 0

    @property
    def found(self) -> int:
        return self._found

    def names(self) -> Iterator[str]:
        for number, picture in enumerate(islice(self._pictures, self._limit)):
            self._found = number + 1
            self._shelf.put(str(number), _checked(picture, number))
            yield str(number)

    def read(self, name: str) -> Array:
        return self._shelf.take(name)

    def keep(self, names: Sequence[str]) -> None:
        self._shelf.only(names)


def _checked(picture: Any, number: int) -> Array:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        kind = picture.dtype if isinstance(picture, np.ndarray) else type(picture).__name__
        raise InputError(
            f"Calibration picture {number} is {kind}, but pictures are arrays of uint8.",
            hint="Give BGR pixels of 0…255, before any normalisation.",
        )
    if picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 1):
        picture = np.repeat(picture.reshape(*picture.shape[:2], 1), 3, axis=2)
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise InputError(
            f"Calibration picture {number} has the shape {list(picture.shape)}, but pictures are (height, width, 3).",
            hint="Give pictures one by one, without a batch dimension and with the channels last.",
        )
    checked: Array = picture
    return checked
