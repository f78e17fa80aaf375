"""Pictures from an array or a `.npy` or `.npz` file, read where they lie on the disk; never with pickle."""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgesdk_converters.calibration.sampled import sampled
from edgesdk_targets.errors import InputError, NoSpace
from edgesdk_targets.tensor import Array

_WANTED = "(N, height, width, 3) of uint8, BGR"


class ArrayPictures:
    """An array of pictures, (N, H, W, 3) uint8 BGR."""

    kind = "arrays"
    alike_by_nature = False

    def __init__(self, array: Array, name: str, *, limit: int, seed: int) -> None:
        _check(array, name)
        self._array = array
        self._order = sampled(len(array), limit, seed)

    @property
    def found(self) -> int:
        return len(self._array)

    def names(self) -> Iterator[str]:
        return (str(index) for index in self._order)

    def read(self, name: str) -> Array:
        return np.array(self._array[int(name)])

    def keep(self, names: Sequence[str]) -> None:
        """Do nothing: the array stays."""


class ArrayFile(ArrayPictures):
    """A `.npy`, or a `.npz` with one array of pictures."""

    kind = "array file"

    def __init__(self, path: Path, *, limit: int, seed: int) -> None:
        place = path
        if path.suffix.lower() == ".npz":
            folder = tempfile.mkdtemp(prefix="edgesdk-arrays-")
            self._tidy = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            place = _unpacked(path, Path(folder) / "pictures.npy")
        super().__init__(_opened(place, path), str(path), limit=limit, seed=seed)


def _opened(place: Path, path: Path) -> Array:
    try:
        array: Array = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read as an array: {why}", hint=f"Save it with numpy.save, as {_WANTED}."
        ) from error
    return array


def _unpacked(path: Path, place: Path) -> Path:
    """Copy the array of pictures out of an archive, so that it can be read piece by piece."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1:
                held = ", ".join(member.filename.removesuffix(".npy") for member in members) or "nothing"
                raise InputError(
                    f"{path} holds several arrays ({held}).",
                    hint="Save the pictures alone: numpy.save('calib.npy', a).",
                )
            if members[0].file_size > shutil.disk_usage(place.parent).free:
                raise NoSpace(f"There is no room to unpack {path}.", hint="Give a .npy file, which is read in place.")
            with archive.open(members[0]) as packed, place.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path} is no .npz file: {error}", hint="Save it with numpy.savez.") from error
    return place


def _check(array: Array, name: str) -> None:
    if array.dtype != np.uint8:
        hint = "Give pixels of 0…255, before any normalisation: (x * 255).round().astype(numpy.uint8)."
        raise InputError(f"{name} is {array.dtype}, but pictures are {_WANTED}.", hint=hint)
    if array.ndim != 4 or array.shape[3] != 3 or 0 in array.shape[1:]:
        hint = f"Bring it to {_WANTED}."
        if array.ndim == 4 and array.shape[1] == 3:
            hint = "Move the channels last: numpy.moveaxis(a, 1, 3)."
        elif array.ndim == 3 and array.shape[2] != 3:
            hint = "Repeat gray pictures into three channels: numpy.repeat(a[..., None], 3, 3)."
        elif array.ndim == 3:
            hint = "That is one picture; give many: numpy.stack(pictures)."
        raise InputError(f"{name} has the shape {list(array.shape)}, but pictures are {_WANTED}.", hint=hint)
    if not len(array):
        raise InputError(f"{name} holds no pictures.", hint="Give 100 or more.")
