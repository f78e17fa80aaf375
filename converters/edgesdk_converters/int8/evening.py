"""Whether a model's channels are evened out before it is quantised: only where that was measured to help."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk_converters.proving.parity import ParityMeter
from edgesdk_converters.steps.even_channels import even_channels
from edgesdk_converters.steps.int8_onnx import int8_onnx
from edgesdk_converters.steps.int8_onnx_ranges import measure_ranges
from edgesdk_converters.steps.tensor_ranges import run_onnx_each
from edgesdk_targets.errors import StepFailed
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import Array

# Less than this may be a loss on other pictures: MobileNetV2, whose Clips leave little to even out, gains 1.3 dB here, and on
# pictures unlike these loses 1.7 points of agreement. FastestDet gains 3.3 dB, UltraFace 7.
_WORTH_DB = 2.0
_MEASURED, _COMPARED = 64, 24


def evened_where_better(model: bytes, samples: Mapping[str, Array], head: str | None) -> bytes:
    """Return the float model with its channels evened out, or the same bytes where that does not pay.

    Both are quantised for ONNX Runtime and compared with the float model, on samples that gave no ranges where there are
    enough of them.

    Args:
        model: a float ONNX file's bytes, with fixed sizes.
        samples: input name → (N, *shape of the input).
        head: layout of a detector's output, which tells its channel groups.

    Raises:
        InputError: it is no ONNX model, or samples do not fit.
    """
    try:
        even = even_channels(model, samples)
        if even == model:
            return model
        gain = _closeness(even, model, samples, head) - _closeness(model, model, samples, head)
    except StepFailed:
        return model  # what fails here fails in the quantiser, which says it better
    return even if gain >= _WORTH_DB else model


def _closeness(model: bytes, plain: bytes, samples: Mapping[str, Array], head: str | None) -> float:
    """Return the signal to noise of the worst group of outputs in 8 bits, in dB."""
    count = min(len(array) for array in samples.values())
    order = np.argsort(np.arange(count) % 4 == 3, kind="stable")  # every fourth is kept for the comparison
    seen = _chosen(samples, order[: min(_MEASURED, count)])
    asked = _chosen(samples, order[::-1][:_COMPARED])
    quantised = int8_onnx(model, seen, style="u8s8", ranges=measure_ranges(model, seen))
    meter = ParityMeter(Precision.INT8, head)
    for wanted, got in zip(run_onnx_each(plain, asked), run_onnx_each(quantised, asked), strict=True):
        meter.add(wanted, got)
    return min(group.sqnr_db for group in meter.result().groups)


def _chosen(samples: Mapping[str, Array], places: Array) -> dict[str, Array]:
    return {name: np.stack([array[place] for place in places]) for name, array in samples.items()}
