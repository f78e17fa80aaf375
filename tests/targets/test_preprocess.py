"""Preprocessing against a plain reference: colour, resize, normalise, layout, each step by itself in float64."""

from __future__ import annotations

import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.spec import PRESETS, Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

CV = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
}
IMAGENET = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
RANDOM = np.random.default_rng(7)


def picture(height: int, width: int) -> Array:
    """Smooth structure with noise, so that position, channel and interpolation all show."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [
        127 + 100 * np.sin(x / 7 + c) * np.cos(y / (5 + c)) + RANDOM.normal(0, 8, (height, width)) for c in range(3)
    ]
    return np.clip(np.stack(planes, axis=-1), 0, 255).astype(np.uint8)


def reference(spec: Preprocess, image: Array, *, folded: bool) -> Array:
    """Return (H, W, C) float64, written for reading and not for speed."""
    out_h, out_w = spec.size
    bgr = np.repeat(image.reshape(*image.shape[:2], -1), 3 if image.ndim == 2 or image.shape[2] == 1 else 1, axis=2)
    height, width = bgr.shape[:2]
    canvas = np.full((out_h, out_w, 3), spec.pad, np.uint8)
    method = CV[spec.interpolation]
    if spec.resize == "stretch":
        canvas[...] = cv2.resize(bgr, (out_w, out_h), interpolation=method)
    elif spec.resize == "letterbox":
        scale = min(out_h / height, out_w / width)
        new_h, new_w = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (out_h - new_h) // 2, (out_w - new_w) // 2
        canvas[top : top + new_h, left : left + new_w] = cv2.resize(bgr, (new_w, new_h), interpolation=method)
    else:
        side = min(height / out_h, width / out_w) * spec.crop_fraction
        crop_h, crop_w = round(out_h * side), round(out_w * side)
        top, left = (height - crop_h) // 2, (width - crop_w) // 2
        crop = np.ascontiguousarray(bgr[top : top + crop_h, left : left + crop_w])
        canvas[...] = cv2.resize(crop, (out_w, out_h), interpolation=method)
    if spec.color == "rgb":
        canvas = canvas[..., ::-1]
    elif spec.color == "gray":
        canvas = cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY)[..., None]
    pixels = canvas.astype(np.float64)
    return pixels if folded else (pixels - np.array(spec.mean)) / np.array(spec.std)


def tensor(spec: Preprocess, layout: str = "NCHW", dtype: str = "float32") -> TensorSpec:
    height, width = spec.size
    shape = (1, spec.channels, height, width) if layout == "NCHW" else (1, height, width, spec.channels)
    return TensorSpec.model_validate({"name": "image", "shape": shape, "dtype": dtype, "layout": layout})


def apply(
    spec: Preprocess, image: Array, layout: str = "NCHW", dtype: str = "float32", *, folded: bool = False
) -> Array:
    """Return the tensor as (H, W, C)."""
    of = tensor(spec, layout, dtype)
    out = of.empty()
    out.view(np.uint8)[...] = 0xA5
    Preprocessor(spec, of, folded=folded).into(image, out)
    return out[0].transpose(1, 2, 0) if layout == "NCHW" else out[0]


SPECS = [
    Preprocess(size=(24, 40), **IMAGENET),
    Preprocess(size=(24, 40), color="bgr", mean=(0, 0, 0), std=(1, 1, 1)),
    Preprocess(size=(32, 32), resize="letterbox", std=(255, 255, 255)),
    Preprocess(size=(31, 33), resize="letterbox", color="bgr", pad=0, **IMAGENET),
    Preprocess(size=(28, 28), resize="center_crop", **IMAGENET),
    Preprocess(size=(16, 48), resize="center_crop", crop_fraction=0.5, color="bgr"),
    Preprocess(size=(20, 60), color="gray", mean=(127.5,), std=(127.5,)),
    Preprocess(size=(20, 60), color="gray", resize="letterbox", pad=200),
]
PICTURES = {
    "wide": picture(60, 100),
    "high": picture(97, 41),
    "small": picture(9, 11),
    "gray": picture(50, 70)[:, :, 0].copy(),
    "one-channel": picture(50, 70)[:, :, :1].copy(),
    "part": picture(120, 160)[10:90, 20:140],
    "mirrored": picture(60, 100)[:, ::-1],
}


def name(spec: Preprocess) -> str:
    return f"{spec.color}-{spec.resize}-{spec.size[0]}x{spec.size[1]}"


@pytest.mark.parametrize("image", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("spec", SPECS, ids=name)
class TestAgainstTheReference:
    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    def test_float(self, spec: Preprocess, image: Array, layout: str) -> None:
        expected = reference(spec, image, folded=False)
        np.testing.assert_allclose(apply(spec, image, layout), expected, atol=1e-4, rtol=1e-5)

    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    def test_folded_pixels(self, spec: Preprocess, image: Array, layout: str) -> None:
        expected = reference(spec, image, folded=True)
        np.testing.assert_array_equal(apply(spec, image, layout, "uint8", folded=True), expected)

    def test_half_precision(self, spec: Preprocess, image: Array) -> None:
        expected = reference(spec, image, folded=False)
        np.testing.assert_allclose(apply(spec, image, dtype="float16"), expected, atol=0.3, rtol=2e-3)

    def test_folded_floats_are_pixels(self, spec: Preprocess, image: Array) -> None:
        np.testing.assert_array_equal(apply(spec, image, folded=True), reference(spec, image, folded=True))


@pytest.mark.parametrize("interpolation", CV)
def test_interpolations(interpolation: Any) -> None:
    spec = Preprocess(size=(37, 23), interpolation=interpolation)
    image = PICTURES["wide"]
    np.testing.assert_allclose(apply(spec, image), reference(spec, image, folded=False), atol=1e-5)


def test_linear_samples_pixel_centres() -> None:
    """Without OpenCV: an output pixel's centre lies at the same fraction of the picture."""
    image, (out_h, out_w) = picture(40, 64), (25, 33)
    y = np.clip((np.arange(out_h) + 0.5) * 40 / out_h - 0.5, 0, 39)
    x = np.clip((np.arange(out_w) + 0.5) * 64 / out_w - 0.5, 0, 63)
    y0, x0 = np.minimum(y.astype(int), 38), np.minimum(x.astype(int), 62)
    fy, fx = (y - y0)[:, None, None], (x - x0)[None, :, None]
    pixels = image.astype(np.float64)
    upper = pixels[y0][:, x0] * (1 - fx) + pixels[y0][:, x0 + 1] * fx
    lower = pixels[y0 + 1][:, x0] * (1 - fx) + pixels[y0 + 1][:, x0 + 1] * fx
    expected = upper * (1 - fy) + lower * fy
    got = apply(Preprocess(size=(out_h, out_w), color="bgr"), image, folded=True)
    assert np.abs(got - expected).max() <= 1.0


def test_every_element_is_written_each_time() -> None:
    """One preprocessor, pictures of changing size: nothing of an earlier one may stay."""
    spec = Preprocess(size=(32, 32), resize="letterbox", color="bgr", std=(1, 1, 1))
    for layout, dtype in (("NCHW", "float32"), ("NHWC", "uint8")):
        of = tensor(spec, layout, dtype)
        preprocessor = Preprocessor(spec, of)
        out = of.empty()
        for image in (*PICTURES.values(), *reversed(PICTURES.values())):
            out[...] = 99
            preprocessor.into(image, out)
            got = out[0].transpose(1, 2, 0) if layout == "NCHW" else out[0]
            np.testing.assert_array_equal(got, reference(spec, image, folded=True))


def test_the_geometry_belongs_to_the_picture() -> None:
    spec = Preprocess(size=(32, 32), resize="letterbox")
    preprocessor, out = Preprocessor(spec, tensor(spec)), tensor(spec).empty()
    for height, width in ((60, 100), (100, 60), (60, 100)):
        geometry = preprocessor.into(picture(height, width), out)
        assert geometry.image_size == (height, width)
        back = geometry.to_image(np.array([[0, 0, 32, 32]], np.float32))
        np.testing.assert_allclose(back, [[0, 0, width, height]])


def test_the_picture_is_not_changed_and_may_be_read_only() -> None:
    image = picture(60, 100)
    before = image.copy()
    image.flags.writeable = False
    for spec in SPECS:
        apply(spec, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("spec", SPECS, ids=name)
@pytest.mark.parametrize(("layout", "dtype"), [("NCHW", "float32"), ("NHWC", "uint8"), ("NHWC", "float32")])
def test_nothing_of_frame_size_is_allocated(spec: Preprocess, layout: str, dtype: str) -> None:
    large = spec.model_copy(update={"size": (spec.size[0] * 16, spec.size[1] * 16)})
    of = tensor(large, layout, dtype)
    preprocessor, out, image = Preprocessor(large, of, folded=dtype == "uint8"), of.empty(), picture(720, 1280)
    preprocessor.into(image, out)
    tracemalloc.start()
    try:
        for _ in range(5):
            preprocessor.into(image, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # numpy's buffer for changing the type of 8192 elements; one channel of the smallest input here is twice that.
    assert peak < 80 << 10 < large.size[0] * large.size[1] // 2


class TestRefused:
    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 2), np.uint8),
            np.zeros((1, 4, 4, 3), np.uint8),
            np.zeros(4, np.uint8),
            [[0, 0], [0, 0]],
            "picture.png",
            None,
        ],
        ids=str,
    )
    def test_what_is_no_picture(self, image: Any) -> None:
        spec = SPECS[0]
        with pytest.raises(InputError, match="picture must be") as raised:
            Preprocessor(spec, tensor(spec)).into(image, tensor(spec).empty())
        assert raised.value.hint

    @pytest.mark.parametrize("shape", [(0, 320, 3), (320, 0), (4, 0, 4)])
    def test_an_empty_picture_is_called_empty(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="picture is empty") as raised:
            Preprocessor(SPECS[0], tensor(SPECS[0])).into(np.zeros(shape, np.uint8), tensor(SPECS[0]).empty())
        assert "alpha" not in raised.value.hint

    @pytest.mark.parametrize("shape", [(1, 3, 40, 24), (1, 1, 24, 40), (3, 24, 40), (2, 3, 24, 40), (1, 24, 40, 3)])
    def test_a_tensor_of_another_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="Preprocessing makes"):
            Preprocessor(SPECS[0], TensorSpec(name="image", shape=shape, layout="NCHW"))

    def test_pixels_that_would_be_normalised(self) -> None:
        with pytest.raises(InputError, match="uint8"):
            Preprocessor(SPECS[0], tensor(SPECS[0], dtype="uint8"))
        Preprocessor(SPECS[0], tensor(SPECS[0], dtype="uint8"), folded=True)
        Preprocessor(SPECS[1], tensor(SPECS[1], dtype="uint8"))


class TestSpec:
    @pytest.mark.parametrize(
        "values",
        [
            {"size": (0, 10)},
            {"size": (10, 20000)},
            {"size": (10,)},
            {"mean": (0.0,)},
            {"color": "gray", "mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 1.0)},
            {"std": (1.0, 0.0, 1.0)},
            {"pad": 256},
            {"pad": -1},
            {"crop_fraction": 0.0},
            {"crop_fraction": 1.1},
            {"color": "yuv"},
            {"resize": "fit"},
            {"sizes": (1, 1)},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, values: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Preprocess.model_validate({"size": (8, 8), **values})

    def test_gray_has_one_value_by_itself(self) -> None:
        assert Preprocess(size=(8, 8), color="gray").mean == (0.0,)

    @pytest.mark.parametrize("preset", PRESETS)
    def test_presets_are_valid(self, preset: str) -> None:
        spec = Preprocess(size=(224, 224), **PRESETS[preset])
        assert spec.unit_warning() is None

    def test_unit_values_are_warned_about(self) -> None:
        wrong = Preprocess(size=(8, 8), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
        warning = wrong.unit_warning()
        assert warning is not None
        assert "[123.675, 116.28, 103.53]" in warning

    @pytest.mark.parametrize("std", [(255.0,) * 3, (58.395, 57.12, 57.375), (127.5,) * 3])
    def test_pixel_values_are_not(self, std: tuple[float, ...]) -> None:
        assert Preprocess(size=(8, 8), std=std).unit_warning() is None
