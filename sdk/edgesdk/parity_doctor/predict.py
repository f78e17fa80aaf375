"""The tensor that a candidate says the application has fed: made from the picture, to be compared with the dump."""

from __future__ import annotations

import math

import numpy as np

from edgesdk.parity_doctor.fit import planes_of
from edgesdk.parity_doctor.pixels import Picture
from edgesdk.parity_doctor.search import Candidate
from edgesdk_targets.preprocess.apply import Preprocessor
from edgesdk_targets.preprocess.spec import Preprocess
from edgesdk_targets.tensor import Array, TensorSpec

# Stands for "the same to the last bit": JSON has no infinity.
MAX_DB = 200.0


def reference(spec: Preprocess, picture: Picture) -> Array:
    """Return what the bundle's own preprocessing gives: (H, W, C) float32."""
    tensor = TensorSpec(name="image", shape=(1, *spec.size, spec.channels), layout="NHWC")
    out = tensor.empty()
    Preprocessor(spec, tensor).into(picture.upright, out)
    first: Array = out[0]
    return first


def predicted_by(candidate: Candidate, picture: Picture) -> Array:
    """Return the tensor that a candidate gives: (H, W, C) float64, in the order of its reading."""
    pixels = picture.pixels(candidate.frame)
    assert pixels is not None  # noqa: S101  (a candidate's frame was made before)
    height, width = pixels.values.shape[:2]
    planes = planes_of(pixels.values.reshape(-1, 3))[list(candidate.colour.planes)]
    std, mean = np.array(candidate.values.std)[:, None], np.array(candidate.values.mean)[:, None]
    out: Array = ((planes - mean) / std).T.reshape(height, width, -1)
    top, left, window_h, window_w = pixels.window
    if (window_h, window_w) != (height, width):
        border = np.ones((height, width), bool)
        border[top : top + window_h, left : left + window_w] = False
        fill = candidate.pad.value
        out[border] = 0.0 if fill is None else (fill - mean[:, 0]) / std[:, 0]
    return out


def sqnr_db(wanted: Array, got: Array) -> float:
    """Return 10 log10(sum of wanted² / sum of difference²), within ±200 dB."""
    signal = float(np.sum(np.square(wanted, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(got, wanted, dtype=np.float64))))
    if noise == 0.0:
        return MAX_DB
    return max(-MAX_DB, min(MAX_DB, 10 * math.log10(max(signal, 1e-300) / noise)))
