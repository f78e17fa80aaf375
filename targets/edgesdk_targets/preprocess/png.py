"""Write and shrink pictures that are kept, without loss: what is read back is what was given, on any machine."""

from __future__ import annotations

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array


def encode_png(image: Array) -> bytes:
    """Return a picture (H, W, 3) uint8 BGR as PNG; equal pixels give equal bytes under one version of OpenCV.

    Raises:
        InputError: it cannot be encoded.
    """
    done, data = cv2.imencode(".png", image, (cv2.IMWRITE_PNG_COMPRESSION, 9))
    if not done:
        raise InputError(f"A picture of {list(image.shape)} cannot be written as PNG.", hint="Give uint8 BGR pixels.")
    return bytes(data)


def shrink(image: Array, longest: int) -> Array:
    """Return a picture whose longer side has at most `longest` pixels, averaged down; a small one as it is."""
    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1.0:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    smaller: Array = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return smaller
