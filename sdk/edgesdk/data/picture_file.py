"""Read a picture file that nobody vouches for, in bounded memory.

Its header is read first: a file of a few kilobytes may declare gigabytes of pixels, and would be decoded to them.
Pillow reads the header, OpenCV the pixels, as on the device. OpenCV gives a file that was cut off as grey from there on and
says nothing; `decode_whole` lets Pillow decode it, too, and refuses such a file.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgesdk_targets.errors import InputError, MissingExtra
from edgesdk_targets.preprocess.image_file import decode_image, picture_bytes
from edgesdk_targets.tensor import Array

if TYPE_CHECKING:
    from PIL import Image

# 200 MB when decoded: no camera of a device gives more.
MAX_PIXELS = 1 << 26
# Pillow's names; an MPO begins as a JPEG and is opened as one.
_FORMATS = {
    "JPEG": {".jpg", ".jpeg"},
    "MPO": {".jpg", ".jpeg"},
    "PNG": {".png"},
    "BMP": {".bmp"},
    "WEBP": {".webp"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm"},
}
_WITH_ALPHA = {"RGBA", "RGBa", "LA", "La", "PA"}
# What Pillow raises of a damaged file: its own errors, and those of code that trusts what it reads.
_DAMAGED = (OSError, EOFError, ValueError, SyntaxError, IndexError, KeyError, TypeError, struct.error)
# Python's list of warnings to ignore is one for all threads.
_OPENING = threading.Lock()


class TooManyPixels(InputError):
    """A picture that would not be decoded for its size."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture file says of itself.

    Attributes:
        kind: JPEG, PNG, …
        mode: Pillow's: RGB, L, RGBA, P, CMYK, I;16, …
        transparent: it may be seen through in places, by its mode or by one colour of its palette.
    """

    kind: str
    mode: str
    width: int
    height: int
    transparent: bool = False

    def fits(self, path: Path) -> bool:
        """Tell whether the file's suffix says the same."""
        return path.suffix.lower() in _FORMATS[self.kind]


def read_header(data: bytes, name: str) -> Header:
    """Read what a picture says of itself, without its pixels.

    Raises:
        TooManyPixels: it declares more than is decoded here.
        InputError: it is no picture.
        MissingExtra: Pillow is not installed.
    """
    with _opened(data, name) as image:
        return _header(image)


def decode_whole(data: bytes, name: str) -> tuple[Header, Array]:
    """Decode a picture after checking that all of it is there; return its header and (H, W, 3) uint8 BGR.

    Raises:
        TooManyPixels, InputError, MissingExtra: as `read_header`; InputError also for a damaged picture.
    """
    with _opened(data, name) as image:
        header = _header(image)
        try:
            image.load()
        except _DAMAGED as error:
            raise InputError(f"{name} is damaged or cut off: {error}.", hint="Copy it again.") from error
    return header, decode_image(data, name=name)


def read_picture(path: Path) -> Array:
    """Read a picture file to (H, W, 3) uint8 BGR.

    Raises:
        TooManyPixels, InputError, MissingExtra: as `read_header`.
    """
    data = picture_bytes(path)
    read_header(data, str(path))
    return decode_image(data, name=str(path))


def _header(image: Image.Image) -> Header:
    transparent = image.mode in _WITH_ALPHA or "transparency" in image.info
    return Header(str(image.format), image.mode, *image.size, transparent)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[Image.Image]:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingExtra("Pillow", "data") from error
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, which are refused here, and odd metadata
        try:
            image = Image.open(io.BytesIO(data), formats=[kind for kind in _FORMATS if kind != "MPO"])
        except Image.DecompressionBombError as error:
            raise TooManyPixels(f"{name} declares too many pixels: {error}", hint="Cut it into tiles.") from error
        except _DAMAGED as error:
            raise InputError(
                f"{name} is no picture that is known here.", hint="Use JPEG, PNG, BMP, WebP, TIFF."
            ) from error
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise TooManyPixels(
                f"{name} declares {image.width} x {image.height} pixels in {len(data)} bytes; {MAX_PIXELS} are decoded at most.",
                hint="Cut it into tiles, or leave it out.",
            )
        yield image
