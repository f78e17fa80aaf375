"""The prepared input of a golden picture, computed with whole numbers, so that it is the same on every machine.

OpenCV rounds its resize differently from one instruction set to another, by up to one grey level. A golden set must not: what
inference is fed with is made here, and the device's own preprocessing is compared with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from edgesdk_targets.preprocess.geometry import place
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

_BITS = 11
_ONE = 1 << _BITS
# Weights of blue, green and red in a grey level, in 2^-15.
_GREY = (3735, 19235, 9798)
_CUBIC = -0.75

# (source pixel, weight) of each output pixel: two arrays (taps, size).
_Taps = tuple[Array, Array]


def exact_pixels(image: Array, spec: Preprocess) -> Array:
    """Return what the model sees of a picture: (h, w, channels) uint8 in the model's colour order, before mean and std.

    Args:
        image: (H, W, 3) uint8 BGR.
    """
    placement = place(spec, (image.shape[0], image.shape[1]))
    top, left, height, width = placement.source
    out_top, out_left, out_h, out_w = placement.target
    part = image[top : top + height, left : left + width].astype(np.int64)
    rows, columns = _taps_of((height, width), (out_h, out_w), spec.interpolation)
    resized = _weigh(_weigh(part, rows, 0), columns, 1)
    resized = np.clip((resized + (1 << (2 * _BITS - 1))) >> (2 * _BITS), 0, 255)
    if spec.color == "gray":
        resized = ((resized * np.asarray(_GREY)).sum(axis=2, keepdims=True) + (1 << 14)) >> 15
    elif spec.color == "rgb":
        resized = resized[:, :, ::-1]
    pixels: Array = np.full((*spec.size, spec.channels), spec.pad, np.uint8)
    pixels[out_top : out_top + out_h, out_left : out_left + out_w] = resized
    return pixels


def input_of(pixels: Array, spec: Preprocess, tensor: TensorSpec, *, folded: bool) -> Array:
    """Normalise pixels (h, w, channels) into the tensor that a variant takes."""
    out = tensor.empty()
    view = out[0] if tensor.layout == "NHWC" else out[0].transpose(1, 2, 0)
    if folded:
        view[...] = pixels
        return out
    std, mean = np.asarray(spec.std, np.float32), np.asarray(spec.mean, np.float32)
    view[...] = pixels * (np.float32(1.0) / std) + (-mean / std)
    return out


def pixels_of(array: Array, spec: Preprocess, tensor: TensorSpec, *, folded: bool) -> Array:
    """Return a prepared tensor in units of pixels, (h, w, channels) float64: the way back of `input_of`."""
    view = (array[0] if tensor.layout == "NHWC" else array[0].transpose(1, 2, 0)).astype(np.float64)
    pixels: Array = view if folded else view * np.asarray(spec.std) + np.asarray(spec.mean)
    return pixels


def digest_of(pixels: Array) -> str:
    """Return the sha256 of an array's shape and content."""
    header = "x".join(map(str, pixels.shape)).encode()
    return hashlib.sha256(header + b"\n" + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _weigh(image: Array, taps: _Taps, axis: int) -> Array:
    shape = [1] * image.ndim
    shape[axis] = -1
    total: Array = sum(
        np.take(image, source, axis=axis) * weight.reshape(shape) for source, weight in zip(*taps, strict=True)
    )
    return total


def _taps_of(size: tuple[int, int], out: tuple[int, int], interpolation: str) -> tuple[_Taps, _Taps]:
    kind = interpolation
    if interpolation == "area" and (size[0] < out[0] or size[1] < out[1]):
        kind = "area enlarged"
    make = _MAKERS[kind]
    rows, columns = ((make(n, m)) for n, m in zip(size, out, strict=True))
    return rows, columns


def _nearest(size: int, out: int) -> _Taps:
    source = np.minimum(np.floor(np.arange(out) * (size / out)), size - 1).astype(np.int64)
    return source[None], np.full((1, out), _ONE, np.int64)


def _linear(size: int, out: int) -> _Taps:
    centre = (np.arange(out) + 0.5) * (size / out) - 0.5
    first = np.floor(centre)
    return _rounded(size, first, np.stack([1 - (centre - first), centre - first]))


def _area_enlarged(size: int, out: int) -> _Taps:
    # Each output pixel lies in one source pixel but for the share that reaches into the next.
    first = np.floor(np.arange(out) * (size / out))
    share = (np.arange(out) + 1) - (first + 1) * (out / size)
    share = np.where(share <= 0, 0.0, share - np.floor(share))
    return _rounded(size, first, np.stack([1 - share, share]))


def _cubic(size: int, out: int) -> _Taps:
    centre = (np.arange(out) + 0.5) * (size / out) - 0.5
    first = np.floor(centre)
    x = centre - first
    near = [((_CUBIC + 2) * t - (_CUBIC + 3)) * t * t + 1 for t in (x, 1 - x)]
    before = ((_CUBIC * (x + 1) - 5 * _CUBIC) * (x + 1) + 8 * _CUBIC) * (x + 1) - 4 * _CUBIC
    return _rounded(size, first - 1, np.stack([before, near[0], near[1], 1 - before - near[0] - near[1]]))


def _area(size: int, out: int) -> _Taps:
    step = size / out
    start = np.arange(out) * step
    first = np.floor(start)
    offsets = np.arange(int(np.ceil(step)) + 1)[:, None]
    low = np.maximum(start, first + offsets)
    high = np.minimum(np.minimum(start + step, size), first + offsets + 1)
    return _rounded(size, first, np.maximum(high - low, 0.0) / step)


def _rounded(size: int, first: Array, weights: Array) -> _Taps:
    """Make the weights whole numbers that add up to one; pixels outside repeat the border."""
    whole = np.rint(weights * _ONE).astype(np.int64)
    largest = weights.argmax(axis=0)
    whole[largest, np.arange(whole.shape[1])] += _ONE - whole.sum(axis=0)
    source = first.astype(np.int64)[None] + np.arange(len(weights))[:, None]
    return np.clip(source, 0, size - 1), whole


_MAKERS: dict[str, Callable[[int, int], _Taps]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
    "area": _area,
    "area enlarged": _area_enlarged,
}
