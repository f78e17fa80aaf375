"""The range of a tensor in which 8 bits lose least: rare large values may be cut, so that the usual ones are told finer.

Rule: of a histogram over some samples, the range with the smallest squared error, rounding and cutting together. For
FastestDet in the symmetric form this is 3 dB on the scores against the plain extremes; where the extremes are best
(ReLU6) they are what is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgesdk_converters.steps.onnx_session import session_of

if TYPE_CHECKING:
    import onnx

    Array = npt.NDArray[Any]

_BINS = 1024
_MOST_SAMPLES = 32
_HIGH_SHARES = np.linspace(0.2, 1.0, 33)
_LOW_SHARES = np.linspace(0.2, 1.0, 17)


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


def best_range(counts: Array, low: float, high: float, *, symmetric: bool) -> tuple[float, float]:
    """Return the range, inside the extremes, with the smallest squared error in 8 bits."""
    used = np.flatnonzero(counts)
    centres = (low + (np.arange(_BINS) + 0.5) * (high - low) / _BINS)[used]
    weights = counts[used]
    largest = max(-low, high)
    if symmetric:
        pairs: Sequence[tuple[float, float]] = [(-largest * share, largest * share) for share in _HIGH_SHARES]
    else:
        lows = [low * share for share in _LOW_SHARES] if low < 0 else [0.0]
        pairs = [(a, high * share) for a in lows for share in (_HIGH_SHARES if high > 0 else [1.0])]
    errors = [_error(centres, weights, *pair, symmetric=symmetric) for pair in pairs]
    # The widest of equals: what no sample needed to cut is not cut.
    return min(zip(errors, pairs, strict=True), key=lambda item: (item[0], item[1][0] - item[1][1]))[1]


def _error(centres: Array, weights: Array, low: float, high: float, *, symmetric: bool) -> float:
    scale = high / 127 if symmetric else (high - low) / 255
    if scale <= 0:
        return float("inf")
    zero = 0.0 if symmetric else np.rint(-low / scale)
    first, last = (-127, 127) if symmetric else (0, 255)
    held = (np.clip(np.rint(centres / scale) + zero, first, last) - zero) * scale
    return float(weights @ (centres - held) ** 2)
