"""A camera without hardware: pictures that are a pure function of seed and frame number.

The number is written into each picture, so that a test can tell which frame arrived after a lossless way.
"""

from __future__ import annotations

import threading

import numpy as np

from edgesdk_agent.cameras.camera import CameraInfo
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_MAX_SIDE = 8192
_STAMP_BYTES = 4
# Pixels that the texture moves a frame; without common factor with the usual widths, so that pictures seldom repeat.
_SPEED = 7


class SyntheticCamera:
    """Deliver a texture that moves to the left, as fast as it is read.

    Args:
        width, height: pixels.
        frames: how many pictures; None runs for ever.
        seed: which texture.

    Raises:
        InputError: an option cannot be used.
    """

    def __init__(self, *, width: int = 640, height: int = 480, frames: int | None = None, seed: int = 0) -> None:
        if not (_STAMP_BYTES <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
            raise InputError(
                f"A synthetic picture cannot be {width}x{height}.",
                hint=f"Give sides of {_STAMP_BYTES}..{_MAX_SIDE}.",
            )
        if frames is not None and frames < 1:
            raise InputError(f"A synthetic camera needs at least one frame, not {frames}.", hint="Leave `frames` out.")
        if seed < 0:
            raise InputError(f"The seed is {seed}, but it must be 0 or more.", hint="Use seed=0.")
        tile = _texture(width, height, seed)
        # Twice side by side: each frame is then one window of it, and takes one copy.
        self._strip = np.concatenate([tile, tile], axis=1)
        self._frames = frames
        self._next = 0
        self._closed = threading.Event()
        self._info = CameraInfo(width, height, None, live=False, description=f"synthetic, seed {seed}")

    @property
    def info(self) -> CameraInfo:
        return self._info

    def read(self, out: Array | None) -> Array | None:
        """Return the next picture, with its number written into it."""
        if self._closed.is_set() or self._next == self._frames:
            return None
        shape = (self._info.height, self._info.width, 3)
        picture = out if out is not None and out.shape == shape else np.empty(shape, np.uint8)
        left = self._next * _SPEED % self._info.width
        np.copyto(picture, self._strip[:, left : left + self._info.width])
        picture[0, :_STAMP_BYTES, 0] = list(self._next.to_bytes(_STAMP_BYTES, "big"))
        self._next += 1
        return picture

    def close(self) -> None:
        self._closed.set()


def read_stamp(picture: Array) -> int:
    """Return the frame number that a synthetic camera wrote into a picture."""
    return int.from_bytes(bytes(picture[0, :_STAMP_BYTES, 0].tolist()), "big")


def _texture(width: int, height: int, seed: int) -> Array:
    """Return coarse random blocks, (height, width, 3) uint8: they look like a scene to a resize and to a codec."""
    coarse = np.random.default_rng(seed).integers(0, 256, (-(-height // 16), -(-width // 16), 3), np.uint8)
    fine: Array = coarse.repeat(16, axis=0).repeat(16, axis=1)[:height, :width]
    return np.ascontiguousarray(fine)
