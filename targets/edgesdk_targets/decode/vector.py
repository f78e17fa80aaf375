"""Embedding and regression: one vector of numbers, as the model gives it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgesdk_targets.decode.classify import is_line
from edgesdk_targets.decode.heads.head import HeadSettings
from edgesdk_targets.decode.outputs import check_labels, misfit, pick
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Embedding, Regression
from edgesdk_targets.tensor import Array, TensorSpec

_EMBEDDING_NAMES = ("embedding", "embeddings", "image_embeds", "features", "pooler_output", "last_hidden_state")
_VALUE_NAMES = ("values", "output0", "output")


class EmbedDecoder:
    """Decode a feature vector: (1, D), or (1, T, D) of patches that `postprocess.pooling` joins.

    Raises:
        InputError: there is no such output.
    """

    def __init__(self, settings: HeadSettings, outputs: tuple[TensorSpec, ...]) -> None:
        error = misfit("An embedding", "one output (1, D) or (1, T, D)", outputs)
        spec = pick(outputs, "embedding", _EMBEDDING_NAMES, _is_embedding, error, settings.postprocess)
        self._name = spec.name
        self._patches = not is_line(spec)
        self._first = settings.postprocess.pooling == "first"

    def __call__(
        self, outputs: Mapping[str, Array], _geometry: Geometry | None, _memory: dict[str, int] | None
    ) -> Embedding:
        raw = outputs[self._name]
        if self._patches:
            raw = raw[0, 0] if self._first else raw[0].mean(axis=0)
        # Copied: the runtime's memory is overwritten by the next frame.
        return Embedding(np.array(raw.reshape(-1), np.float32))


def _is_embedding(spec: TensorSpec) -> bool:
    return is_line(spec) or (len(spec.shape) == 3 and spec.shape[0] == 1)


class RegressDecoder:
    """Decode estimated numbers (1, D).

    Raises:
        InputError: there is no such output, or the labels are not one a number.
    """

    def __init__(self, settings: HeadSettings, outputs: tuple[TensorSpec, ...]) -> None:
        error = misfit("A regression", "one output (1, D)", outputs)
        spec = pick(outputs, "values", _VALUE_NAMES, is_line, error, settings.postprocess)
        check_labels(settings.labels, spec.shape[1])
        self._name = spec.name
        self._labels = settings.labels

    def __call__(
        self, outputs: Mapping[str, Array], _geometry: Geometry | None, _memory: dict[str, int] | None
    ) -> Regression:
        return Regression(np.array(outputs[self._name].reshape(-1), np.float32), self._labels)
