"""Classification: the most likely classes, best first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk_targets.decode.activation import activate, activation_of
from edgesdk_targets.decode.heads.head import HeadSettings
from edgesdk_targets.decode.outputs import check_labels, misfit, pick
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Classification
from edgesdk_targets.tensor import Array, TensorSpec

EXPECTS = "one output `logits` or `probabilities` (1, C)"
_NAMES = ("probabilities", "logits", "output0", "output")


def is_line(spec: TensorSpec) -> bool:
    """Say whether an output is one line of numbers: (1, C), also (1, C, 1, 1)."""
    shape = spec.shape
    return len(shape) >= 2 and shape[0] == 1 and all(size == 1 for size in shape[2:])


class ClassifyDecoder:
    """Decode a classifier's output.

    Raises:
        InputError: there is no such output, or the labels are not one a class.
    """

    def __init__(self, settings: HeadSettings, outputs: tuple[TensorSpec, ...]) -> None:
        error = misfit("A classifier", EXPECTS, outputs)
        spec = pick(outputs, "logits", _NAMES, is_line, error, settings.postprocess)
        classes = spec.shape[1]
        check_labels(settings.labels, classes)
        self._name = spec.name
        self._activation = activation_of(spec.name, settings.postprocess.activation)
        self._labels = settings.labels
        self._top = min(settings.postprocess.top_k, classes)

    def __call__(
        self, outputs: Mapping[str, Array], _geometry: Geometry | None, _memory: dict[str, int] | None
    ) -> Classification:
        raw = outputs[self._name].reshape(-1).astype(np.float32, copy=False)
        scores = np.nan_to_num(activate(raw, self._activation), nan=0.0)
        best = np.argsort(-scores, kind="stable")[: self._top]
        return Classification(best, scores[best], self._labels)
