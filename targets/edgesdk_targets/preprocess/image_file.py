"""Read pictures from files and bytes that are not trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgesdk_targets.bounded_file import read_bounded
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
MAX_FILE_BYTES = 1 << 28


def decode_image(data: bytes, *, name: str = "image") -> Array:
    """Decode JPEG, PNG, BMP… to (H, W, 3) uint8 BGR, turned as its EXIF says.

    Raises:
        InputError: these bytes are no picture, or one of more than 2^28 pixels.
    """
    image: Array | None = None
    if data:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error as error:
            raise InputError(f"{name} cannot be decoded: {_first_line(error)}", hint="Save it again as PNG.") from error
    if image is None:
        raise InputError(f"{name} is not a picture that can be decoded.", hint="Use JPEG, PNG, BMP, WebP or TIFF.")
    return image


def read_image(path: str | Path) -> Array:
    """Read a picture file to (H, W, 3) uint8 BGR.

    Raises:
        InputError: the file is missing, unreadable, larger than 256 MiB, or no picture.
    """
    return decode_image(picture_bytes(Path(path)), name=str(path))


def picture_bytes(path: Path) -> bytes:
    """Return a picture file's content, not decoded.

    Raises:
        InputError: it cannot be read, or is larger than 256 MiB.
    """
    return read_bounded(path, MAX_FILE_BYTES, larger="Give a smaller picture.")


def list_images(folder: str | Path) -> list[Path]:
    """Return the picture files directly in `folder`, sorted by name.

    Raises:
        InputError: there is no such folder, or it cannot be read.
    """
    try:
        return sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.", hint="Check the path.") from error


def _first_line(error: cv2.error) -> str:
    return str(error).strip().splitlines()[0]
