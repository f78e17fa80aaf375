"""The time, written into a picture as blocks that survive JPEG and H.264: how old a frame really is, sockets included.

    stamp(image, time.monotonic())                 the source, as late as it can
    age_s = time.monotonic() - read_stamp(image)   the reader, on the same machine

Two rows of blocks lie along the upper edge: 28 bits of milliseconds of the monotonic clock, and under them the same bits
inverted. A block is read against its opposite, so that no threshold is needed; where the two are too alike (another
picture, a torn one, two pictures blended) the stamp is refused and never guessed. Pictures are at least 224 pixels wide.

Writing needs no library, as the RTSP server's process runs under the system's Python, which may have no numpy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesdk_targets.tensor import Array

_BITS = 28
_WRAP_MS = 1 << _BITS
# Of a block's two halves: video keeps 16..235, and what a codec leaves of the difference is far more than this.
_DARK, _BRIGHT, _LEAST_CONTRAST = 16, 235, 80


class StampUnreadable(ValueError):
    """This picture carries no stamp, or a damaged one."""


def block_side(width: int) -> int:
    """Return the side of a block, pixels: a multiple of the 8 on which codecs work.

    Raises:
        ValueError: the picture is too narrow.
    """
    side = min(32, width // _BITS // 8 * 8)
    if side < 8:
        raise ValueError(f"a stamp needs {8 * _BITS} pixels, and the picture is {width} wide")
    return side


def stamp(image: Array, seconds: float) -> None:
    """Write `seconds` of the monotonic clock into a picture, (H, W, 3) or (H, W) uint8, in place."""
    side = block_side(image.shape[1])
    for place, bit in enumerate(_bits(seconds)):
        columns = slice(place * side, (place + 1) * side)
        image[:side, columns] = _BRIGHT if bit else _DARK
        image[side : 2 * side, columns] = _DARK if bit else _BRIGHT


def stamp_i420(frame: bytearray, width: int, height: int, seconds: float) -> None:
    """Write `seconds` into a picture of width·height luma bytes and two quarter planes of colour, in place.

    Width and height must be multiples of 8, so that no line is padded.
    """
    side = block_side(width)
    bits = _bits(seconds)
    above = b"".join(bytes([_BRIGHT if bit else _DARK]) * side for bit in bits)
    below = b"".join(bytes([_DARK if bit else _BRIGHT]) * side for bit in bits)
    for line in range(2 * side):
        start = line * width
        frame[start : start + len(above)] = above if line < side else below
    grey = bytes([128]) * (len(above) // 2)
    for plane in (width * height, width * height * 5 // 4):
        for line in range(side):
            start = plane + line * (width // 2)
            frame[start : start + len(grey)] = grey


def read_stamp(image: Array) -> float:
    """Return the seconds of the monotonic clock that were written into a picture, (H, W, 3) or (H, W) uint8.

    Raises:
        StampUnreadable: there is none, or it is damaged.
    """
    try:
        side = block_side(image.shape[1])
    except ValueError as error:
        raise StampUnreadable(str(error)) from error
    # The inner half of each block, where its neighbours do not reach.
    quarter = side // 4
    milliseconds = 0
    for place in range(_BITS):
        columns = slice(place * side + quarter, (place + 1) * side - quarter)
        above = float(image[quarter : side - quarter, columns].mean())
        below = float(image[side + quarter : 2 * side - quarter, columns].mean())
        if abs(above - below) < _LEAST_CONTRAST:
            raise StampUnreadable(f"bit {place} is neither 0 nor 1 ({above:.0f} over {below:.0f})")
        milliseconds |= int(above > below) << place
    now_ms = int(time.monotonic() * 1e3)
    # The stamp counts anew every three days; it is taken for the latest moment that it can mean, which is not after now.
    return (now_ms - (now_ms - milliseconds) % _WRAP_MS) / 1e3


def _bits(seconds: float) -> list[int]:
    milliseconds = int(seconds * 1e3) % _WRAP_MS
    return [milliseconds >> place & 1 for place in range(_BITS)]
