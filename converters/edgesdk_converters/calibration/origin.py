"""Where calibration pictures come from, as one face: names in the order to look at them, and a picture for each name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Pictures that must be decoded in a row, or kept on the disk, are looked at by so much fewer.
_SPOOL = 4


class Origin(Protocol):
    """A source of pictures.

    Attributes:
        kind: for the record: `folder`, `video`, `array file`, `arrays`.
        alike_by_nature: the pictures follow each other in time, so most look like the one before.
    """

    kind: str
    alike_by_nature: bool

    @property
    def found(self) -> int:
        """How many pictures there are, as far as was looked."""
        ...

    def names(self) -> Iterator[str]:
        """Yield a name for each picture, in the order in which they are worth looking at."""
        ...

    def read(self, name: str) -> Array:
        """Return a picture, (H, W, 3) uint8 BGR.

        Raises:
            InputError: it cannot be read whole.
        """
        ...

    def keep(self, names: Sequence[str]) -> None:
        """Make these readable again, in any order; the others will not be asked for."""
        ...


def open_origin(source: str | Path | Iterable[Array], *, limit: int, seed: int) -> Origin:
    """Find out what the source is.

    Args:
        limit: how many pictures will be looked at; a larger source offers a sample of itself.

    Raises:
        InputError: there is nothing of a known kind.
    """
    if isinstance(source, np.ndarray):
        from edgesdk_converters.calibration.array_file import ArrayPictures

        return ArrayPictures(source, "the array", limit=limit, seed=seed)
    if not isinstance(source, (str, Path)):
        from edgesdk_converters.calibration.given_arrays import GivenArrays

        return GivenArrays(source, limit=max(1, limit // _SPOOL))
    path = Path(source)
    if path.is_dir():
        from edgesdk_converters.calibration.picture_folder import PictureFolder

        return PictureFolder(path, limit=limit, seed=seed)
    if not path.is_file():
        raise InputError(f"{path} does not exist.", hint="Give a folder of pictures, a video, or a .npy or .npz file.")
    if path.suffix.lower() in {".npy", ".npz"}:
        from edgesdk_converters.calibration.array_file import ArrayFile

        return ArrayFile(path, limit=limit, seed=seed)
    return _video(path, limit)


def _video(path: Path, limit: int) -> Origin:
    from edgesdk_targets.preprocess.image_file import IMAGE_SUFFIXES

    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{path} is one picture.", hint=f"Give the folder: {path.parent}")
    from edgesdk_converters.calibration.video_frames import VideoFrames

    return VideoFrames(path, limit=max(1, limit // _SPOOL))
