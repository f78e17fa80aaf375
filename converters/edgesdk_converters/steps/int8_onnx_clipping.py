"""The size of a tensor for which int8 without a zero point loses least: rare large values may be cut.

Rule: of a histogram over some samples, the size with the smallest squared error, rounding and cutting together, and of that and
the extreme the geometric mean. Half of such a range is unused behind a ReLU, so that each step counts: for FastestDet the smallest
error is 3 dB on the scores against the plain extremes. But that is on pictures of the calibration's kind, and others reach farther:
with half of its layers in float FastestDet agrees on 91.7 % of the detections with the former, on 93.3 % half-way, and
on 94.3 % with the extremes, which with everything in 8 bits lose 3.5 points. With a zero point cutting gained 0.1 dB
there, and on pictures unlike the calibration's it lost MobileNetV2 two points of agreement: there the extremes stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.steps.onnx_session import session_of

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

_BINS = 1024
_MOST_SAMPLES = 32
_SHARES = np.linspace(0.2, 1.0, 33)


def histograms(
    model: onnx.ModelProto, feeds: Iterable[Mapping[str, Array]], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Array]:
    """Return how often the values of each tensor fall into 1024 equal parts of its range, which holds 0.

    Args:
        feeds: typical inputs; the first 32 are read, one at a time.
        ranges: lowest and highest value, by the tensor's name.
    """
    import onnx

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {value.name: value for value in [*model.graph.value_info, *model.graph.output]}
    outputs = {value.name for value in model.graph.output}
    inner = [name for name in ranges if name in known]
    probe.graph.output.extend(known[name] for name in inner if name not in outputs)
    session = session_of(probe.SerializeToString())
    counts = {name: np.zeros(_BINS) for name in inner}
    for number, feed in enumerate(feeds, 1):
        for name, value in zip(inner, session.run(inner, dict(feed)), strict=True):
            low, high = ranges[name]
            place = ((value.ravel() - low) * np.float32(_BINS / (high - low))).astype(np.int32)
            counts[name] += np.bincount(np.clip(place, 0, _BINS - 1), minlength=_BINS)
        if number == _MOST_SAMPLES:
            break
    return counts


def best_size(counts: Array, low: float, high: float) -> float:
    """Return the size in int8: half-way, as factors go, from that with the smallest squared error to that of the extremes."""
    used = np.flatnonzero(counts)
    centres = (low + (np.arange(_BINS) + 0.5) * (high - low) / _BINS)[used]
    extreme = max(-low, high)
    sizes = extreme * _SHARES
    errors = [float(counts[used] @ (centres - _held(centres, size / 127)) ** 2) for size in sizes]
    # The widest of equals: what gains nothing is not cut.
    closest = -min(zip(errors, -sizes, strict=True))[1]
    return math.sqrt(float(closest) * extreme)


def _held(values: Array, scale: float) -> Array:
    held: Array = np.clip(np.rint(values / scale), -127, 127) * scale
    return held
