from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from edgesdk_agent.cameras.raw_video import RawVideo
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
    raw = RawVideo()
    fresh = raw.to_bgr(data, kind, *size, None)
    out = np.zeros_like(picture)
    assert raw.to_bgr(data, kind, *size, out) is out
    np.testing.assert_array_equal(fresh, out)
    assert np.abs(fresh.astype(int) - picture).max() <= (0 if kind == "BGR" else 6)


def test_an_array_of_another_shape_is_left_alone() -> None:
    picture, other = _picture(64, 48), np.zeros((10, 10, 3), np.uint8)
    fresh = RawVideo().to_bgr(memoryview(_in_gstreamers_layout(picture, "I420")), "I420", 64, 48, other)
    assert fresh.shape == picture.shape
    assert not other.any()


@pytest.mark.parametrize("kind", ["I420", "NV12", "BGR"])
@pytest.mark.parametrize("size", [(640, 480), (650, 480), (651, 481)], ids=str)
def test_nothing_of_frame_size_is_allocated_for_further_pictures(kind: str, size: tuple[int, int]) -> None:
    picture, raw = _picture(*size), RawVideo()
    data, out = memoryview(_in_gstreamers_layout(picture, kind)), np.empty_like(picture)
    peaks = []
    for offered in (out, None):
        raw.to_bgr(data, kind, *size, out)
        tracemalloc.start()
        try:
            for _ in range(3):
                raw.to_bgr(data, kind, *size, offered)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[0] < picture.nbytes / 10
    assert peaks[1] >= picture.nbytes, "the control: without an array to write into there is a new one"


def test_one_cameras_size_may_change() -> None:
    raw = RawVideo()
    for size in ((75, 51), (70, 50), (64, 48), (75, 51)):
        picture = _picture(*size)
        shown = raw.to_bgr(memoryview(_in_gstreamers_layout(picture, "I420")), "I420", *size, None)
        assert np.abs(shown.astype(int) - picture).max() <= 6
