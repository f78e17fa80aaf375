"""Tell whether two pictures are the same, or nearly.

The same: equal pixels. Nearly: two perceptual hashes of 64 bits differ in at most 8 bits each, and thumbnails of 16 x 16
by at most 22 grey levels anywhere. Measured on 38 photos: saved again as JPEG (quality 40 to 95) or WebP, or at half or a
quarter of the size, a picture moves by at most 4 bits and 21 levels; two different photos are at least 14 bits apart. The
thumbnail is for poor pictures: digits of 64 x 64 on one background can agree in all but 6 bits of both hashes, and differ
by 25 levels and more where the strokes are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from edgesdk_converters.framework_edge import needs
from edgesdk_targets.tensor import Array

NEAR_BITS = 8
NEAR_LEVELS = 22
_THUMB = 16


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is kept of a picture to recognise it.

    Attributes:
        pixels: sha256 of size and pixels, hexadecimal.
        perceptual: hash of the picture's coarse frequencies (64 bits) and of its gradients (64 bits), in one number.
        thumbnail: (768,) uint8, the mean colours of a 16 x 16 grid.
    """

    pixels: str
    perceptual: int
    thumbnail: Array


def likeness_of(picture: Array) -> Likeness:
    """Describe a picture, (H, W, 3) uint8 BGR."""
    with needs("imagehash", extra="int8"):
        import imagehash
        from PIL import Image
    rgb = np.ascontiguousarray(picture[:, :, ::-1])
    image = Image.fromarray(rgb)
    bits = [np.packbits(hash_of(image).hash).tobytes() for hash_of in (imagehash.phash, imagehash.dhash)]
    small = np.asarray(image.resize((_THUMB, _THUMB), Image.Resampling.BOX), np.uint8)
    return Likeness(pixel_hash(picture), int.from_bytes(b"".join(bits), "big"), small.reshape(-1).copy())


def pixel_hash(picture: Array) -> str:
    """Return the sha256 of a picture's size and pixels, hexadecimal."""
    digest = hashlib.sha256("x".join(map(str, picture.shape)).encode())
    digest.update(np.ascontiguousarray(picture).data)
    return digest.hexdigest()


class Seen:
    """The pictures met so far; finds one that a new picture repeats."""

    def __init__(self) -> None:
        self._by_pixels: dict[str, int] = {}
        self._hashes = np.empty((64, 16), np.uint8)
        self._thumbnails = np.empty((64, 3 * _THUMB * _THUMB), np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, likeness: Likeness) -> None:
        """Remember a picture under the next number, from 0."""
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._thumbnails = np.concatenate([self._thumbnails, np.empty_like(self._thumbnails)])
        self._by_pixels.setdefault(likeness.pixels, self._count)
        self._hashes[self._count] = _bytes_of(likeness.perceptual)
        self._thumbnails[self._count] = likeness.thumbnail
        self._count += 1

    def same(self, likeness: Likeness) -> int | None:
        """Return the number of a picture with equal pixels."""
        return self._by_pixels.get(likeness.pixels)

    def near(self, likeness: Likeness) -> int | None:
        """Return the number of the nearest picture that is nearly the same."""
        differing = np.unpackbits(self._hashes[: self._count] ^ _bytes_of(likeness.perceptual), axis=1)
        by_hash = differing.reshape(-1, 2, 64).sum(axis=2)
        close = np.flatnonzero((by_hash <= NEAR_BITS).all(axis=1))
        if not close.size:
            return None
        levels = np.abs(self._thumbnails[close].astype(np.int16) - likeness.thumbnail).max(axis=1)
        best = int(levels.argmin())
        return int(close[best]) if levels[best] <= NEAR_LEVELS else None


def _bytes_of(perceptual: int) -> Array:
    return np.frombuffer(perceptual.to_bytes(16, "big"), np.uint8)
