"""The whole-number preprocessing agrees with the production one to a grey level, for every kind of resize."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgesdk_targets.golden.exact_input import digest_of, exact_pixels, input_of, pixels_of
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import TensorSpec

COLORS, RESIZES = ("rgb", "bgr", "gray"), ("stretch", "letterbox", "center_crop")
SIZES = ((60, 80), (25, 38), (16, 16), (48, 64), (37, 11), (150, 22), (1, 1))


@pytest.mark.parametrize("interpolation", ["linear", "area", "cubic", "nearest"])
@pytest.mark.parametrize(("color", "resize"), list(itertools.product(COLORS, RESIZES)))
def test_it_is_what_opencv_does_to_one_grey_level(color: str, resize: str, interpolation: str) -> None:
    channels = 1 if color == "gray" else 3
    spec = Preprocess.model_validate(
        {
            "color": color,
            "resize": resize,
            "interpolation": interpolation,
            "size": (48, 64),
            "mean": (10.0,) * channels,
            "std": (50.0,) * channels,
        }
    )
    tensor = TensorSpec(name="x", shape=(1, channels, 48, 64), layout="NCHW")
    rng = np.random.default_rng(1)
    for size in SIZES:
        # Noise: every pixel is another, so a tap in the wrong place is seen.
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        prepared = tensor.empty()
        Preprocessor(spec, tensor).into(image, prepared)
        off = pixels_of(prepared, spec, tensor, folded=False) - exact_pixels(image, spec)
        assert np.abs(off).max() <= 1.001
        assert np.abs(off).mean() <= 0.3


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("dtype", "folded"), [("float32", False), ("uint8", True), ("float32", True)])
def test_pixels_come_back_from_the_tensor(layout: str, dtype: str, folded: bool) -> None:
    spec = Preprocess(size=(4, 6), mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    shape = (1, 4, 6, 3) if layout == "NHWC" else (1, 3, 4, 6)
    tensor = TensorSpec.model_validate({"name": "x", "shape": shape, "dtype": dtype, "layout": layout})
    pixels = np.random.default_rng(2).integers(0, 256, (4, 6, 3), np.uint8)
    array = input_of(pixels, spec, tensor, folded=folded)
    tensor.check(array)
    np.testing.assert_allclose(pixels_of(array, spec, tensor, folded=folded), pixels, atol=1e-3)


def test_a_digest_tells_shape_and_content_apart() -> None:
    array = np.arange(12, dtype=np.uint8)
    digests = {digest_of(a) for a in (array, array.reshape(3, 4), array.reshape(4, 3), array[::-1])}
    assert len(digests) == 4
    assert digest_of(array.reshape(3, 4)[:, ::-1]) == digest_of(np.ascontiguousarray(array.reshape(3, 4)[:, ::-1]))
