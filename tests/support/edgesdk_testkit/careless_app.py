"""An application that prepares pictures by itself, with mistakes; written with PIL and numpy, apart from the product's code.

`FEEDS` are the ways of three models and a fourth; `single_mistakes` are what people do instead.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgesdk_converters.proving.parity_pictures import draw_picture

Array = NDArray[Any]
_CV = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
}
_PIL = {"antialiased linear": Image.Resampling.BILINEAR, "antialiased cubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Feed:
    """What the application does, step by step; `size` is (height, width)."""

    size: tuple[int, int]
    color: str = "rgb"
    resize: str = "stretch"
    fraction: float = 0.875
    interpolation: str = "linear"
    pad: int = 114
    pad_late: bool = False
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    exif: bool = True
    noise: int = 2
    axes: str = "NCHW"
    finish: str = "float32"
    scalings: tuple[str, ...] = ()

    def preprocess(self) -> dict[str, Any]:
        """Return the same as a card's block."""
        return {
            "color": self.color, "resize": self.resize, "size": self.size, "interpolation": self.interpolation,
            "mean": self.mean, "std": self.std, "pad": self.pad, "crop_fraction": self.fraction,
        }  # fmt: skip


FEEDS = {
    "gray stretch": Feed((32, 48), "gray", mean=(0.0,), std=(255.0,)),
    "rgb letterbox": Feed((64, 96), resize="letterbox"),
    "rgb imagenet crop": Feed(
        (72, 72), resize="center_crop", mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    ),
    "bgr -1..1 area": Feed((56, 64), "bgr", interpolation="area", mean=(127.5,) * 3, std=(127.5,) * 3),
}


def picture_file(seed: int, size: tuple[int, int] = (250, 330)) -> bytes:
    """Return a drawn JPEG of (height, width) that is stored turned, as a telephone does."""
    drawn = Image.fromarray(draw_picture(size, seed)[..., ::-1].copy())
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    drawn.save(out, "jpeg", quality=92, exif=exif)
    return out.getvalue()


def feed(data: bytes, how: Feed, seed: int = 0) -> Array:
    """Return the tensor that the application gives to its model."""
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened) if how.exif else opened
        rgb = np.asarray(image.convert("RGB"))
    pixels, border = _placed(rgb, how)
    if how.noise:  # as between two decoders of JPEG
        noise = np.random.default_rng(seed).integers(-how.noise, how.noise + 1, pixels.shape)
        pixels = np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)
    pixels[border] = how.pad
    values = _scaled(_coloured(pixels, how.color), how)
    if how.pad_late:
        values[border] = 0
    return _finished(_laid_out(values, how.axes), how.finish)


def _resized(rgb: Array, size: tuple[int, int], interpolation: str) -> Array:
    if interpolation in _PIL:
        return np.array(Image.fromarray(rgb).resize((size[1], size[0]), _PIL[interpolation]))
    return np.array(cv2.resize(rgb, (size[1], size[0]), interpolation=_CV[interpolation]))


def _placed(rgb: Array, how: Feed) -> tuple[Array, Array]:
    (height, width), (h, w) = rgb.shape[:2], how.size
    border = np.zeros(how.size, bool)
    if how.resize == "stretch":
        return _resized(rgb, how.size, how.interpolation), border
    if how.resize == "crop_only":
        top, left = (height - h) // 2, (width - w) // 2
        return rgb[top : top + h, left : left + w].copy(), border
    if how.resize == "center_crop":
        unit = min(height / h, width / w) * how.fraction
        ch, cw = round(h * unit), round(w * unit)
        top, left = (height - ch) // 2, (width - cw) // 2
        return _resized(rgb[top : top + ch, left : left + cw], how.size, how.interpolation), border
    scale = min(h / height, w / width)
    nh, nw = round(height * scale), round(width * scale)
    top, left = (0, 0) if how.resize == "letterbox_corner" else (round((h - nh) / 2 - 0.1), round((w - nw) / 2 - 0.1))
    border[...] = True
    border[top : top + nh, left : left + nw] = False
    out = np.zeros((h, w, 3), np.uint8)
    out[top : top + nh, left : left + nw] = _resized(rgb, (nh, nw), how.interpolation)
    return out, border


def _coloured(rgb: Array, color: str) -> Array:
    weights = {"gray": (0.299, 0.587, 0.114), "gray swapped": (0.114, 0.587, 0.299), "gray mean": (1 / 3,) * 3}
    if color in weights:
        return np.rint(rgb @ np.array(weights[color]))[..., None]
    if color == "gray repeated":
        return np.repeat(np.rint(rgb @ np.array(weights["gray"]))[..., None], 3, axis=2)
    if color == "green only":
        return rgb[..., 1:2].astype(float)
    return (rgb if color == "rgb" else rgb[..., ::-1]).astype(float)


def _scaled(pixels: Array, how: Feed) -> Array:
    mean, std = np.array(how.mean), np.array(how.std)
    if len(mean) != pixels.shape[2]:
        mean, std = np.full(pixels.shape[2], mean.mean()), np.full(pixels.shape[2], std.mean())
    values = pixels.astype(np.float64)
    for change in how.scalings:
        if change == "order":
            mean, std = mean[::-1], std[::-1]
        elif change == "no mean":
            mean = np.zeros_like(mean)
        elif change == "no std":  # of code that works in 0..1
            std = np.full_like(std, 255.0)
        elif change in {"scale missing", "scaled twice"}:
            values = values * 255 if change == "scale missing" else values / 255
    values = (values / 255 - mean / 255) / (std / 255)
    if "normalised twice" in how.scalings:
        values = (values - mean / 255) / (std / 255)
    return pixels.astype(np.float64) if "raw" in how.scalings else values


def _laid_out(values: Array, axes: str) -> Array:
    h, w, c = values.shape
    made: dict[str, Callable[[], Array]] = {
        "NCHW": lambda: values.transpose(2, 0, 1)[None],
        "NHWC": lambda: values[None],
        "CHW": lambda: values.transpose(2, 0, 1),
        "HWC": lambda: values,
        "reshaped": lambda: values.reshape(1, c, h, w),
        "transposed": lambda: values.transpose(2, 1, 0)[None],
    }
    return np.ascontiguousarray(made[axes]())


def _finished(values: Array, finish: str) -> Array:
    if finish == "uint8":
        return (np.trunc(values).astype(np.int64) & 255).astype(np.uint8)
    if finish == "float16 on the way":
        return values.astype(np.float16).astype(np.float32)
    return values.astype(finish)


@dataclass(frozen=True)
class Slip:
    """One mistake: its factor (two of one factor exclude each other), how it is made, and its name."""

    factor: str
    name: str
    change: dict[str, Any]


def single_mistakes(right: Feed) -> Iterator[Slip]:
    """Yield the mistakes that change what this model is fed."""
    yield Slip("exif", "exif_ignored", {"exif": False})
    yield from _geometry(right)
    for other in ("linear", "area", "nearest", "cubic", "antialiased linear", "antialiased cubic"):
        if other != right.interpolation:
            yield Slip("filter", f"interpolation:{other}", {"interpolation": other})
    yield from _colour(right)
    yield from _scale(right)
    yield Slip("axes", "layout:NHWC", {"axes": "NHWC"})
    yield Slip("axes", "layout:HWC", {"axes": "HWC"})
    yield Slip("axes", "layout:CHW", {"axes": "CHW"})
    yield Slip("axes", "transposed", {"axes": "transposed"})
    if right.color != "gray":
        yield Slip("axes", "reshaped", {"axes": "reshaped"})
    if right.size[0] != right.size[1]:
        yield Slip("size", "size_swapped", {"size": right.size[::-1]})
    yield Slip("type", "dtype:float16", {"finish": "float16"})
    yield Slip("type", "dtype:float64", {"finish": "float64"})
    yield Slip("type", "float16_values", {"finish": "float16 on the way"})
    yield Slip("type", "cast:uint8", {"finish": "uint8"})


def _geometry(right: Feed) -> Iterator[Slip]:
    if right.resize != "stretch":
        yield Slip("geometry", "stretched", {"resize": "stretch"})
    if right.resize == "letterbox":
        yield Slip("geometry", "letterbox_corner", {"resize": "letterbox_corner"})
        yield from (Slip("pad", f"pad:{v}", {"pad": v}) for v in (0, 128, 255))
        yield Slip("pad", "pad_after_normalising", {"pad_late": True})
    else:
        yield Slip("geometry", "letterboxed", {"resize": "letterbox"})
    if right.resize == "center_crop":
        yield Slip("geometry", "crop_fraction:1", {"fraction": 1.0})
    else:
        yield Slip("geometry", "center_cropped", {"resize": "center_crop"})
        yield Slip("geometry", "center_cropped", {"resize": "center_crop", "fraction": 1.0})
    yield Slip("geometry", "crop_only", {"resize": "crop_only"})


def _colour(right: Feed) -> Iterator[Slip]:
    if right.color == "gray":
        yield Slip("colour", "colour_fed:RGB", {"color": "rgb"})
        yield Slip("colour", "colour_fed:BGR", {"color": "bgr"})
        yield Slip("colour", "gray_weights_swapped", {"color": "gray swapped"})
        yield Slip("colour", "gray_mean", {"color": "gray mean"})
        yield Slip("colour", "one_plane:green", {"color": "green only"})
        return
    other = "bgr" if right.color == "rgb" else "rgb"
    yield Slip("colour", f"channels_swapped:{other.upper()}", {"color": other})
    yield Slip("colour", "gray_fed", {"color": "gray repeated"})


def _scale(right: Feed) -> Iterator[Slip]:
    presets = {
        "0..1 (pixel / 255)": ((0.0,), (255.0,)),
        "-1..1 (127.5, 127.5)": ((127.5,), (127.5,)),
        "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        "(pixel - 128) / 128": ((128.0,), (128.0,)),
    }
    count = len(right.mean)
    for name, constants in presets.items():
        mean, std = (v * count if len(v) == 1 else v for v in constants)
        if len(mean) == count and (mean, std) != (right.mean, right.std):
            yield Slip("scale", f"normalisation:{name}", {"mean": mean, "std": std})
    yield Slip("scale", "not_normalised", {"scalings": ("raw",)})
    yield Slip("scale", "scale_missing", {"scalings": ("scale missing",)})
    yield Slip("scale", "scaled_twice", {"scalings": ("scaled twice",)})
    if any(right.mean):
        yield Slip("scale", "mean_missing", {"scalings": ("no mean",)})
        yield Slip("scale", "std_missing", {"scalings": ("no std",)})
        yield Slip("scale", "normalised_twice", {"scalings": ("normalised twice",)})
    if len(set(right.mean)) > 1:
        yield Slip("scale", "mean_std_order", {"scalings": ("order",)})


def pairs_of_mistakes(right: Feed, data: bytes, seed: int) -> Iterator[tuple[Slip, Slip]]:
    """Yield, in a random order, all pairs that can be made together and of which each makes a difference here."""
    pairs = list(combinations(single_mistakes(right), 2))
    random.Random(seed).shuffle(pairs)
    for a, b in pairs:
        if a.factor != b.factor and {a.name, b.name} != _UNDONE:
            both = feed(data, careless(right, a, b))
            if not any(_same(both, feed(data, careless(right, slip))) for slip in (a, b)):
                yield a, b


# Turned axes and swapped sizes give the shape back.
_UNDONE = {"transposed", "size_swapped"}


def _same(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    difference = np.sqrt(np.mean(np.square(a.astype(np.float64) - b)))
    return bool(difference <= 0.02 * np.std(b, dtype=np.float64))


def careless(right: Feed, *slips: Slip) -> Feed:
    """Return what the application does with these mistakes."""
    for slip in slips:
        right = replace(right, **slip.change)
    return right
