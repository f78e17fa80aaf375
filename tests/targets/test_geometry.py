from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgesdk_targets.preprocess.geometry import Geometry, place
from edgesdk_targets.preprocess.spec import Preprocess, Resize

SIDES = st.integers(1, 4000)
SIZES = st.tuples(SIDES, SIDES)
SPECS = st.builds(
    lambda size, resize, fraction: Preprocess(size=size, resize=resize, crop_fraction=fraction),
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.sampled_from(["stretch", "letterbox", "center_crop"]),
    st.floats(0.05, 1.0),
)


def spec(size: tuple[int, int], resize: Resize, fraction: float = 1.0) -> Preprocess:
    return Preprocess(size=size, resize=resize, crop_fraction=fraction)


def to_input(geometry: Geometry, boxes: np.ndarray) -> np.ndarray:
    """The map as its docstring says it: input = image * scale + offset."""
    out = boxes.astype(np.float64)
    out[:, 0::2] = out[:, 0::2] * geometry.scale_x + geometry.offset_x
    out[:, 1::2] = out[:, 1::2] * geometry.scale_y + geometry.offset_y
    return out


@given(SPECS, SIZES, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_box_comes_back_to_where_it_was(preprocess: Preprocess, size: tuple[int, int], at: list[float]) -> None:
    height, width = size
    box = np.array([[at[0] * width, at[1] * height, at[2] * width, at[3] * height]])
    geometry = place(preprocess, size).geometry
    back = geometry.to_image(to_input(geometry, box))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, box, atol=1e-3 * max(size))


@given(SPECS, SIZES)
def test_both_windows_are_inside(preprocess: Preprocess, size: tuple[int, int]) -> None:
    placement = place(preprocess, size)
    for (top, left, height, width), (whole_h, whole_w) in (
        (placement.source, size),
        (placement.target, preprocess.size),
    ):
        assert min(height, width) >= 1
        assert 0 <= top <= top + height <= whole_h
        assert 0 <= left <= left + width <= whole_w


@given(SPECS, SIZES)
def test_the_windows_corners_are_what_the_map_says(preprocess: Preprocess, size: tuple[int, int]) -> None:
    placement = place(preprocess, size)
    (top, left, height, width), (out_top, out_left, out_h, out_w) = placement.source, placement.target
    corners = np.array([[left, top, left + width, top + height]], np.float64)
    expected = [[out_left, out_top, out_left + out_w, out_top + out_h]]
    np.testing.assert_allclose(to_input(placement.geometry, corners), expected, atol=1e-6 * max(preprocess.size))


@given(SPECS, SIZES)
def test_what_is_outside_the_picture_is_clipped(preprocess: Preprocess, size: tuple[int, int]) -> None:
    far = np.array([[-1e6, -1e6, 1e6, 1e6]])
    np.testing.assert_allclose(place(preprocess, size).geometry.to_image(far), [[0, 0, size[1], size[0]]])


@given(SIZES, st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_a_letterbox_keeps_the_aspect_and_fills_one_side(size: tuple[int, int], out: tuple[int, int]) -> None:
    placement = place(spec(out, "letterbox"), size)
    top, left, height, width = placement.target
    assert placement.source == (0, 0, *size)
    assert (height, width) == out or height == out[0] or width == out[1]
    scale = min(out[0] / size[0], out[1] / size[1])
    assert abs(height - size[0] * scale) <= 1
    assert abs(width - size[1] * scale) <= 1
    # Centred: the borders differ by one pixel at most, the smaller one first.
    assert 0 <= (out[0] - height - top) - top <= 1
    assert 0 <= (out[1] - width - left) - left <= 1


@given(SIZES, st.integers(1, 700), st.floats(0.05, 1.0))
def test_a_crop_is_the_centre_of_the_short_side(size: tuple[int, int], side: int, fraction: float) -> None:
    top, left, height, width = place(spec((side, side), "center_crop", fraction), size).source
    short = min(size)
    assert abs(height - short * fraction) <= max(1, 0.5)
    assert abs(width - short * fraction) <= max(1, 0.5)
    assert abs((size[0] - height) - 2 * top) <= 1
    assert abs((size[1] - width) - 2 * left) <= 1


def test_known_values() -> None:
    """The usual letterbox of 640 and the usual crop of 224, worked out by hand."""
    letterbox = place(spec((640, 640), "letterbox"), (1080, 1920))
    assert letterbox.target == (140, 0, 360, 640)
    crop = place(spec((224, 224), "center_crop", 0.875), (256, 341))
    assert crop.source == (16, 58, 224, 224)
    stretch = place(spec((320, 320), "stretch"), (240, 640)).geometry
    assert (stretch.scale_x, round(stretch.scale_y, 6)) == (0.5, 1.333333)


def test_no_boxes_are_no_boxes() -> None:
    geometry = place(spec((10, 10), "stretch"), (20, 20)).geometry
    assert geometry.to_image(np.zeros((0, 4), np.float32)).shape == (0, 4)
