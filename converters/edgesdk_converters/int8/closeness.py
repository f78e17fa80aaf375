"""How close a changed model comes to float when it is in 8 bits, on samples that had no part in changing it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk_converters.proving.parity import ParityMeter
from edgesdk_converters.steps.int8_onnx import int8_onnx
from edgesdk_converters.steps.int8_onnx_ranges import measure_ranges
from edgesdk_converters.steps.tensor_ranges import run_onnx_each
from edgesdk_targets.target import Precision
from edgesdk_targets.tensor import Array

_MEASURED, _COMPARED = 64, 24


class Closeness:
    """Compares with a float model, quantised for ONNX Runtime, on two sets of its calibration samples.

    Args:
        plain: the float model's ONNX.
        samples: input name → (N, *shape of the input).
        head: layout of a detector's output, which tells its channel groups.

    Attributes:
        seen: at most 64 samples, on which ranges are measured; another model may be made by them.
    """

    def __init__(self, plain: bytes, samples: Mapping[str, Array], head: str | None) -> None:
        count = min(len(array) for array in samples.values())
        order = np.argsort(np.arange(count) % 4 == 3, kind="stable")  # every fourth is kept for the comparison
        self.seen = _chosen(samples, order[: min(_MEASURED, count)])
        self._asked = _chosen(samples, order[::-1][:_COMPARED])
        self._plain = plain
        self._head = head

    def of(self, model: bytes) -> float:
        """Return the signal to noise of the worst group of a model's outputs in 8 bits, in dB.

        Raises:
            StepFailed: it cannot be quantised.
        """
        quantised = int8_onnx(model, self.seen, style="u8s8", ranges=measure_ranges(model, self.seen))
        meter = ParityMeter(Precision.INT8, self._head)
        answers = zip(run_onnx_each(self._plain, self._asked), run_onnx_each(quantised, self._asked), strict=True)
        for wanted, got in answers:
            meter.add(wanted, got)
        return min(group.sqnr_db for group in meter.result().groups)


def _chosen(samples: Mapping[str, Array], places: Array) -> dict[str, Array]:
    return {name: np.stack([array[place] for place in places]) for name, array in samples.items()}
