"""GStreamer's raw pictures to BGR, by OpenCV: a tenth of what GStreamer's own converter takes at 1080p.

As FFmpeg does inside OpenCV, all video is taken for BT.601, so that a model sees the same colours by both ways.
"""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

# What the sink takes as it comes; everything else is made one of these by GStreamer.
FORMATS = ("I420", "NV12", "BGR")


def to_bgr(data: memoryview, kind: str, width: int, height: int, out: Array | None) -> Array:
    """Return a picture as (H, W, 3) uint8 BGR, in `out` where its shape fits.

    Args:
        data: the picture in GStreamer's usual layout: lines are padded to four bytes.
        kind: one of `FORMATS`.
    """
    fits = out is not None and out.shape == (height, width, 3)
    if kind == "BGR":
        lines = np.ndarray((height, width, 3), np.uint8, buffer=data, strides=(len(data) // height, 3, 1))
        if not fits or out is None:
            return lines.copy()
        np.copyto(out, lines)
        return out
    code = cv2.COLOR_YUV2BGR_I420 if kind == "I420" else cv2.COLOR_YUV2BGR_NV12
    # OpenCV wants even sides and no padding; a line or column more is cut off again.
    even_width, even_height = width + width % 2, height + height % 2
    whole = fits and (even_width, even_height) == (width, height)
    picture: Array = cv2.cvtColor(_planes(data, kind, even_width, even_height), code, dst=out if whole else None)
    if (even_width, even_height) == (width, height):
        return picture
    cut = picture[:height, :width]
    if not fits or out is None:
        return cut.copy()
    np.copyto(out, cut)
    return out


def _planes(data: memoryview, kind: str, width: int, height: int) -> Array:
    """Return luma and colour as one array, (1.5 H, W), without the padding; a view where there is none."""
    stride = -(-width // 4) * 4
    flat = np.frombuffer(data, np.uint8)
    colour_stride = stride if kind == "NV12" else -(-(width // 2) // 4) * 4
    if stride == width and (kind == "NV12" or colour_stride == width // 2):
        return flat[: width * height * 3 // 2].reshape(height * 3 // 2, width)
    luma = flat[: stride * height].reshape(height, stride)[:, :width]
    rest = flat[stride * height :]
    if kind == "NV12":
        colour = rest[: stride * height // 2].reshape(height // 2, stride)[:, :width]
    else:
        colour = rest[: colour_stride * height].reshape(height, colour_stride)[:, : width // 2]
    return np.concatenate([luma.ravel(), colour.ravel()]).reshape(height * 3 // 2, width)
