"""GStreamer's raw pictures to BGR, by OpenCV: a tenth of what GStreamer's own converter takes at 1080p.

As FFmpeg does inside OpenCV, all video is taken for BT.601, so that a model sees the same colours by both ways.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# What the sink takes as it comes; everything else is made one of these by GStreamer.
FORMATS = ("I420", "NV12", "BGR")


class RawVideo:
    """Converts the pictures of one camera; what it needs beside the picture is allocated once, and again when the size changes."""

    def __init__(self) -> None:
        self._planes: Array = np.empty((0, 0), np.uint8)
        self._even: Array = np.empty((0, 0, 3), np.uint8)

    def to_bgr(self, data: memoryview, kind: str, width: int, height: int, out: Array | None) -> Array:
        """Return a picture as (H, W, 3) uint8 BGR, in `out` where its shape fits.

        Args:
            data: the picture in GStreamer's usual layout: lines are padded to four bytes.
            kind: one of `FORMATS`.
        """
        picture: Array = (
            out if out is not None and out.shape == (height, width, 3) else np.empty((height, width, 3), np.uint8)
        )
        if kind == "BGR":
            lines = np.ndarray((height, width, 3), np.uint8, buffer=data, strides=(len(data) // height, 3, 1))
            np.copyto(picture, lines)
            return picture
        code = cv2.COLOR_YUV2BGR_I420 if kind == "I420" else cv2.COLOR_YUV2BGR_NV12
        # OpenCV wants even sides and no padding; a line or column more is cut off again.
        even_width, even_height = width + width % 2, height + height % 2
        planes = self._unpadded(data, kind, even_width, even_height)
        if (even_width, even_height) == (width, height):
            converted: Array = cv2.cvtColor(planes, code, dst=picture)
            return converted
        self._even = _room(self._even, (even_height, even_width, 3))
        cv2.cvtColor(planes, code, dst=self._even)
        np.copyto(picture, self._even[:height, :width])
        return picture

    def _unpadded(self, data: memoryview, kind: str, width: int, height: int) -> Array:
        """Return luma and colour as one array, (1.5 H, W), without the padding; a view where there is none."""
        stride = -(-width // 4) * 4
        flat = np.frombuffer(data, np.uint8)
        # Of I420 both colours stand below each other, each half as high and half as wide.
        lines, wide = (height // 2, width) if kind == "NV12" else (height, width // 2)
        colour_stride = -(-wide // 4) * 4
        if (stride, colour_stride) == (width, wide):
            return flat[: width * height * 3 // 2].reshape(height * 3 // 2, width)
        self._planes = planes = _room(self._planes, (height * 3 // 2, width))
        planes[:height] = flat[: stride * height].reshape(height, stride)[:, :width]
        colour = flat[stride * height : stride * height + colour_stride * lines].reshape(lines, colour_stride)
        planes[height:].reshape(lines, wide)[...] = colour[:, :wide]
        return planes


def _room(memory: Array, shape: tuple[int, ...]) -> Array:
    return memory if memory.shape == shape else np.empty(shape, np.uint8)
