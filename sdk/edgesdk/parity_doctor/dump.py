"""Read the arrays that an application has written down; they come from outside and are not trusted."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import MAX_ELEMENTS, Array

_MAX_BYTES = 4 << 30
# Of any scaling of pixels or sound output; beyond it squares overflow.
_LARGEST = 1e30
_SAVE = "Write it with numpy.save(path, array), of plain numbers."


def read_dump(path: Path) -> Array:
    """Read one array from a .npy file.

    Raises:
        InputError: the file is missing, no .npy, holds objects, is empty, or has values that are no finite numbers.
    """
    loaded = _load(path)
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise InputError(f"{path} holds several arrays.", hint="Give a .npy file with one array.")
    return _checked(loaded, str(path))


def read_dumps(path: Path) -> dict[str, Array]:
    """Read one array from a .npy file (named ''), or all of a .npz file by name.

    Raises:
        InputError: as `read_dump`.
    """
    loaded = _load(path)
    if isinstance(loaded, np.ndarray):
        return {"": _checked(loaded, str(path))}
    with loaded:
        try:
            arrays = {name: _checked(loaded[name], f"{path}:{name}") for name in loaded.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} cannot be read: {_first_line(error)}.", hint=_SAVE) from error
    if not arrays:
        raise InputError(f"{path} holds no array.", hint=_SAVE)
    return arrays


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES >> 30} GiB.", hint="Dump one picture's tensor.")
        # Objects are pickles, and a pickle from outside is a program.
        return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", hint="Check the path.") from error
    except (ValueError, EOFError, zipfile.BadZipFile, MemoryError, SyntaxError) as error:
        raise InputError(f"{path} is no array file that can be trusted: {_first_line(error)}.", hint=_SAVE) from error


def _checked(array: Array, name: str) -> Array:
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} holds {array.dtype}, and not numbers.", hint=_SAVE)
    if array.size == 0 or array.size > MAX_ELEMENTS:
        what = "is empty" if array.size == 0 else f"has more than {MAX_ELEMENTS} values"
        raise InputError(f"{name} {what}: its shape is {list(array.shape)}.", hint="Dump the array that was fed.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = int(array.size - np.isfinite(array).sum())
        raise InputError(
            f"{name} has {wrong} of {array.size} values that are NaN or infinite.",
            hint="Nothing can be told from these; look for a division by zero, or half precision that overflowed.",
        )
    if array.dtype.kind == "f" and max(abs(float(array.max())), abs(float(array.min()))) > _LARGEST:
        raise InputError(
            f"{name} has values from {float(array.min()):.3g} to {float(array.max()):.3g}, which no scaling of pixels gives.",
            hint="Is this memory that was never filled, or an array of another type? Dump what the model is given.",
        )
    return array


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
