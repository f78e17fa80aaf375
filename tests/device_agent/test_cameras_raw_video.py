from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgesdk_agent.cameras.raw_video import to_bgr
from edgesdk_targets.tensor import Array


def _picture(width: int, height: int) -> Array:
    """Return a picture of smooth colours, which half the resolution of colour does not harm."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + x * 150 // width, 200 - y * 150 // height, 60 + (x + y) * 120 // (width + height)], 2).astype(
        np.uint8
    )


def _padded(plane: Array) -> bytes:
    return np.pad(plane, ((0, 0), (0, -plane.shape[1] % 4))).tobytes()


def _in_gstreamers_layout(picture: Array, kind: str) -> bytes:
    height, width = picture.shape[:2]
    if kind == "BGR":
        return _padded(picture.reshape(height, width * 3))
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    high, wide = even.shape[:2]
    planes = cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420).ravel()
    luma, u, v = np.split(planes, [high * wide, high * wide * 5 // 4])
    u, v = u.reshape(high // 2, wide // 2), v.reshape(high // 2, wide // 2)
    colour = [_padded(u), _padded(v)] if kind == "I420" else [_padded(np.stack([u, v], 2).reshape(high // 2, wide))]
    return b"".join([_padded(luma.reshape(high, wide)), *colour])


@pytest.mark.parametrize("kind", ["I420", "NV12", "BGR"])
@pytest.mark.parametrize("size", [(64, 48), (70, 50), (68, 50), (75, 51)], ids=str)
def test_every_layout_gives_the_picture_also_where_lines_are_padded(kind: str, size: tuple[int, int]) -> None:
    picture = _picture(*size)
    data = memoryview(_in_gstreamers_layout(picture, kind))
    fresh = to_bgr(data, kind, *size, None)
    out = np.zeros_like(picture)
    assert to_bgr(data, kind, *size, out) is out
    np.testing.assert_array_equal(fresh, out)
    assert np.abs(fresh.astype(int) - picture).max() <= (0 if kind == "BGR" else 6)


def test_an_array_of_another_shape_is_left_alone() -> None:
    picture, other = _picture(64, 48), np.zeros((10, 10, 3), np.uint8)
    fresh = to_bgr(memoryview(_in_gstreamers_layout(picture, "I420")), "I420", 64, 48, other)
    assert fresh.shape == picture.shape
    assert not other.any()
